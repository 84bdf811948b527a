"""One place where engine and precision are chosen, and where what this machine cannot do is refused."""

from __future__ import annotations

from importlib.util import find_spec

import torch

from rbmscape.errors import EngineError
from rbmscape.kernels.interface import Engine
from rbmscape.kernels.reference.engine import ReferenceEngine

__all__ = ["ENGINES", "PRECISIONS", "has_fast_bf16", "has_table_lookup", "select_engine"]

ENGINES = ("auto", "reference", "cpu", "cuda")
PRECISIONS = ("auto", "fixed", "fp32", "bf16", "fp64")


def has_table_lookup() -> bool:
    """Whether this processor has what ``fixed`` needs: AVX-512 with the instructions for bytes, words and doublewords.

    Tables of 16-bit integers are looked up in its registers; where there is a matrix unit as well, that one multiplies.
    """
    capabilities = torch.cpu.get_capabilities()
    return all(capabilities.get(f"avx512_{feature}", False) for feature in ("f", "bw", "dq"))


def has_fast_bf16(device: torch.device | str = "cpu") -> bool:
    """Whether the device multiplies bfloat16 matrices natively: AMX, AVX512-BF16, or CUDA tensor cores."""
    if torch.device(device).type == "cuda":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return bool(torch.backends.mkldnn.is_available()) and any(  # type: ignore[no-untyped-call]
        capabilities.get(feature, False) for feature in ("amx_bf16", "avx512_bf16")
    )


def _choose_engine(engine: str, device: torch.device) -> str:
    if engine != "auto":
        return engine
    if device.type == "cuda":
        return "cuda"
    return "cpu" if device.type == "cpu" and find_spec("numba") else "reference"


def _check_device(engine: str, device: torch.device) -> None:
    if (engine == "cuda" or device.type == "cuda") and not torch.cuda.is_available():
        raise EngineError("engine 'cuda' needs a CUDA GPU and torch sees none; use engine='auto' or 'cpu'")
    if engine == "cuda" and device.type != "cuda":
        raise EngineError(f"engine 'cuda' cannot work on device '{device}'; move the model with .to(device='cuda')")
    if engine == "cpu" and device.type != "cpu":
        raise EngineError(f"engine 'cpu' cannot work on device '{device}'; use engine='auto' or .to(device='cpu')")


def _choose_precision(engine: str, device: torch.device) -> str:
    if engine == "reference":
        return "fp32"
    if engine == "cpu" and has_table_lookup():
        return "fixed"
    return "bf16" if has_fast_bf16(device) else "fp32"


def _fixed_engine() -> Engine:
    if not has_table_lookup():
        raise EngineError(
            "precision 'fixed' needs a processor with AVX-512 and this one has none; use precision='auto' or 'fp32'"
        )
    from rbmscape.kernels.integers.engine import FixedEngine

    return FixedEngine()


def select_engine(engine: str = "auto", precision: str = "auto", device: torch.device | str = "cpu") -> Engine:
    """The engine for a device.

    Parameters
    ----------
    engine : ``auto``: fused CPU kernels on a processor, plain torch on the GPU; or ``reference``, ``cpu``, ``cuda``
    precision : ``auto``: the fastest that the hardware has of ``fixed`` (exact sums of 16-bit weights by table lookup,
        AVX-512), ``bf16`` (where it is multiplied natively) and ``fp32``; ``fp64`` only with ``reference``
    device : where the model's tensors are

    Raises
    ------
    EngineError : unknown name, or not available on this machine
    """
    device = torch.device(device)
    if engine not in ENGINES:
        raise EngineError(f"engine must be one of {', '.join(ENGINES)}, found {engine!r}")
    if precision not in PRECISIONS:
        raise EngineError(f"precision must be one of {', '.join(PRECISIONS)}, found {precision!r}")
    chosen = _choose_engine(engine, device)
    _check_device(chosen, device)
    if precision == "auto":
        precision = _choose_precision(chosen, device)
    if precision == "fp64" and chosen != "reference":
        raise EngineError(f"precision 'fp64' needs engine='reference', found {engine!r}; pass engine='reference'")
    if chosen == "cpu" and precision == "fixed":
        return _fixed_engine()
    if chosen == "cpu":
        from rbmscape.kernels.floats.engine import CpuEngine

        return CpuEngine(precision)
    return ReferenceEngine(precision, device)
