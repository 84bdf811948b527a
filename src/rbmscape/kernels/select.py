"""One place where engines are registered, where engine, precision and device are chosen, and where what this machine
cannot do is refused.

`REGISTRY` has a line for each engine, the fastest first.  With ``auto`` the first one serves that works on the device
and has no reason not to; within it, the first of its precisions that is worth it here.  To add an engine, add a folder
with a class that has the signature of `rbmscape.kernels.interface.Engine`, and a line; the conformance tests find it,
recipes and the command line know its name.

Torch is imported when something is chosen, not before, so that names are at hand without it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from rbmscape.checks import is_among, shown
from rbmscape.errors import EngineError

if TYPE_CHECKING:
    import torch

    from rbmscape.kernels.interface import Engine

__all__ = [
    "ENGINES",
    "PRECISIONS",
    "REGISTRY",
    "Entry",
    "best_device",
    "has_fast_bf16",
    "has_table_lookup",
    "select_engine",
]


def has_table_lookup() -> bool:
    """Whether this processor has what ``fixed`` needs: AVX-512 with the instructions for bytes, words and doublewords.

    Tables of 16-bit integers are looked up in its registers; where there is a matrix unit as well, that one multiplies.
    Where Numba is told to compile for another processor, that one counts.
    """
    import torch

    if any(os.environ.get(name) for name in ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")):
        return False
    capabilities = torch.cpu.get_capabilities()
    return all(capabilities.get(f"avx512_{feature}", False) for feature in ("f", "bw", "dq"))


def has_fast_bf16(device: torch.device | str = "cpu") -> bool:
    """Whether the device multiplies bfloat16 matrices natively: AMX, AVX512-BF16, or CUDA tensor cores."""
    import torch

    if torch.device(device).type == "cuda":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return bool(torch.backends.mkldnn.is_available()) and any(  # type: ignore[no-untyped-call]
        capabilities.get(feature, False) for feature in ("amx_bf16", "avx512_bf16")
    )


def _always(_precision: str, _device: torch.device) -> bool:
    return True


def _bf16_only_if_native(precision: str, device: torch.device) -> bool:
    return precision != "bf16" or has_fast_bf16(device)


def _nothing_missing() -> str:
    return ""


def _missing_numba() -> str:
    if not find_spec("numba"):
        return "engine 'cpu' needs numba, which is not installed; use engine='reference'"
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return "engine 'cpu' is compiled by numba, which NUMBA_DISABLE_JIT forbids; unset it, or use engine='reference'"
    return ""


def _missing_tables() -> str:
    if has_table_lookup():
        return _missing_numba()
    return "precision 'fixed' needs a processor with AVX-512 and this one has none; use precision='auto' or 'fp32'"


def _missing_gpu() -> str:
    """What the GPU's own kernels lack here."""
    import torch

    if not torch.cuda.is_available():
        return _no_gpu()
    if find_spec("triton") is None:
        return (
            "engine 'cuda' with precision 'fixed' needs Triton, which is not installed; install rbmscape[gpu], or use "
            "precision='auto'"
        )
    found = torch.cuda.get_device_capability()
    if found < _OLDEST:
        return (
            f"engine 'cuda' with precision 'fixed' multiplies bytes on tensor cores from compute capability "
            f"{_OLDEST[0]}.{_OLDEST[1]} on, found {found[0]}.{found[1]} ({torch.cuda.get_device_name()}); use "
            "precision='auto', or engine='cpu'"
        )
    return ""


def _gpu_wins(size: tuple[int, int, int]) -> bool:
    """Whether a short measurement, made once a machine, says that the GPU is the faster one."""
    from rbmscape.kernels.cuda.calibration import is_faster
    from rbmscape.kernels.cuda.engine import CudaEngine

    return is_faster(lambda: CudaEngine("fixed", "cuda"), lambda: select_engine(device="cpu"), size)


def _no_gpu() -> str:
    """Why there is no GPU to work on."""
    import torch

    why = "this torch was built without CUDA" if torch.version.cuda is None else "there is no card or no driver"
    return f"engine 'cuda' needs a CUDA GPU and torch sees none ({why}); use engine='auto' or 'cpu'"


def _never(_size: tuple[int, int, int]) -> bool:
    return False


@dataclass(frozen=True)
class Entry:
    """An engine's line in the registry.

    Attributes
    ----------
    name : what users call it; several entries may share a name and differ by their precisions
    home : ``module:class``, imported when it is used; called with precision and device
    devices : types of device that it works on, or none where it works on all
    precisions : what it can do, the first that is worth it being chosen by ``auto``
    missing : what this machine lacks for it and what to do instead, in a sentence; empty where nothing is
    is_worth_it : whether ``auto`` takes a precision on a device
    beats : whether it is faster than the processor for a number of chains, visible and hidden units, so that ``auto``
        moves training to its device by itself
    """

    name: str
    home: str
    devices: tuple[str, ...]
    precisions: tuple[str, ...]
    missing: Callable[[], str] = _nothing_missing
    is_worth_it: Callable[[str, torch.device], bool] = _always
    beats: Callable[[tuple[int, int, int]], bool] = _never

    def works_on(self, device: torch.device) -> bool:
        """Whether it can work on a device of this type."""
        return not self.devices or device.type in self.devices

    def load(self, precision: str, device: torch.device) -> Engine:
        """The engine itself."""
        module, _, attribute = self.home.partition(":")
        factory: Any = getattr(import_module(module), attribute)
        engine: Engine = factory(precision, device)
        return engine


_INTEGERS, _FLOATS = "rbmscape.kernels.integers.engine:IntegerEngine", "rbmscape.kernels.floats.engine:FloatEngine"
_CUDA, _TORCH = "rbmscape.kernels.cuda.engine:CudaEngine", "rbmscape.kernels.reference.engine:ReferenceEngine"
_OLDEST = (8, 0)
_USUAL = (500, 784, 500)

REGISTRY = (
    Entry("cpu", _INTEGERS, ("cpu",), ("fixed",), _missing_tables),
    Entry("cpu", _FLOATS, ("cpu",), ("bf16", "fp32"), _missing_numba, _bf16_only_if_native),
    Entry("cuda", _CUDA, ("cuda",), ("fixed",), _missing_gpu, beats=_gpu_wins),
    Entry("cuda", _TORCH, ("cuda",), ("bf16", "fp32"), is_worth_it=_bf16_only_if_native),
    Entry("reference", _TORCH, (), ("fp32", "fixed", "bf16", "fp64")),
)

ENGINES = ("auto", *dict.fromkeys(entry.name for entry in REGISTRY))
PRECISIONS = ("auto", "fixed", "fp32", "bf16", "fp64")


def best_device(engine: str = "auto", precision: str = "auto", size: tuple[int, int, int] = _USUAL) -> torch.device:
    """Where work is done that is free to choose: on a GPU if that was asked for, or if it beats the processor there.

    Parameters
    ----------
    engine, precision : see `select_engine`
    size : numbers of chains, visible and hidden units
    """
    import torch

    if engine == "cuda":
        return torch.device("cuda")
    free = engine == "auto" and torch.cuda.is_available()
    fitting = [entry for entry in REGISTRY if free and precision in ("auto", *entry.precisions)]
    beaten = any(not entry.missing() and entry.beats(size) for entry in fitting)
    return torch.device("cuda" if beaten else "cpu")


def select_engine(engine: str | Engine = "auto", precision: str = "auto", device: torch.device | str = "cpu") -> Engine:
    """The engine for a device.

    Parameters
    ----------
    engine : ``auto``: fused CPU kernels on a processor, the GPU's where the model is on one; or ``reference``, ``cpu``,
        ``cuda``; or an engine that was chosen before, which is returned as it is
    precision : ``auto``: the fastest that the hardware has of ``fixed`` (exact sums of 16-bit weights by table lookup,
        AVX-512), ``bf16`` (where it is multiplied natively) and ``fp32``; ``fp64`` only with ``reference``
    device : where the model's tensors are

    Raises
    ------
    EngineError : unknown name, or not available on this machine
    """
    import torch

    from rbmscape.kernels.interface import Engine

    device = torch.device(device)
    if isinstance(engine, Engine):
        return _checked(engine, precision, device)
    for name, value, known in (("engine", engine, ENGINES), ("precision", precision, PRECISIONS)):
        if not is_among(value, known):
            raise EngineError(f"{name} must be one of {', '.join(known)}, found {shown(value)}")
    entries = _entries(engine, device)
    choices = [(entry, one) for entry in entries for one in entry.precisions if _wanted(entry, one, precision, device)]
    if not choices:
        raise EngineError(
            f"precision {precision!r} needs engine='reference', found {engine!r}; pass engine='reference'"
        )
    entry, chosen = next((choice for choice in choices if not choice[0].missing()), choices[0])
    if entry.missing():
        raise EngineError(entry.missing())
    return entry.load(chosen, device)


def _checked(engine: Engine, precision: str, device: torch.device) -> Engine:
    """A chosen engine, which must be one of this precision and device."""
    if precision not in ("auto", engine.precision) or engine.device.type != device.type:
        raise EngineError(
            f"an engine with precision {engine.precision!r} on device '{engine.device}' was given for precision "
            f"{precision!r} on device '{device}'; choose one with rbmscape.kernels.select_engine for this model"
        )
    return engine


def _entries(engine: str, device: torch.device) -> list[Entry]:
    """The entries of an engine that work on a device; for ``auto`` of the first engine of which one is available."""
    import torch

    if (engine == "cuda" or device.type == "cuda") and not torch.cuda.is_available():
        raise EngineError(_no_gpu())
    working = [entry for entry in REGISTRY if entry.works_on(device)]
    name = engine if engine != "auto" else next(entry.name for entry in working if not entry.missing())
    found = [entry for entry in working if entry.name == name]
    if not found:
        kinds = dict.fromkeys(kind for entry in REGISTRY if entry.name == name for kind in entry.devices)
        raise EngineError(
            f"engine {name!r} cannot work on device '{device}'; use engine='auto' or "
            f"move the model with .to(device={' or '.join(map(repr, kinds))})"
        )
    return found


def _wanted(entry: Entry, offered: str, precision: str, device: torch.device) -> bool:
    """Whether a precision that an entry offers is the one asked for, or one that ``auto`` takes."""
    return entry.is_worth_it(offered, device) if precision == "auto" else offered == precision
