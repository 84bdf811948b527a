r"""The elementwise half of a Gibbs half-step as one Numba pass over the pre-activations.

For each unit: bias, inverse temperature, sigmoid, Philox uniform, comparison, and the store in the number format that
the next matrix product reads; no array of probabilities or of random numbers exists.  The comparison
``u < 1 / (1 + e^{-x})`` is evaluated as ``u (1 + e^{-x}) < 1``, which needs no division.

bfloat16 arrays appear as uint16: a bf16 number is the upper half of a float32, 1.0 is 0x3F80.

Each thread takes one contiguous span of the chains and a row of the caller's scratch; inside, blocks of `BLOCK` units
alternate between filling the scratch with random words and consuming it, two loops that LLVM turns into vector code
(one loop with the four words of a counter inside would not vectorise).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from threading import Lock
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from numpy import float32, int32, uint16, uint32, uint64

from rbmscape.rng import MULTIPLIERS, ROUNDS, WEYL

if TYPE_CHECKING:
    from rbmscape.kernels.integers.product import Products

__all__ = ["BLOCK", "Kernel", "active", "compile_pass", "fill_words", "philox", "threshold"]

BLOCK = 256
_ROUNDS = ROUNDS
_MULTIPLIER_0, _MULTIPLIER_1 = (np.uint64(factor) for factor in MULTIPLIERS)
_WEYL_0, _WEYL_1 = (np.uint64(step) for step in WEYL)
_MASK, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_MINUS_LOG2_E = np.float32(-1.4426950408889634)
_MAX_EXPONENT = np.float32(126.0)
# 2**f for |f| <= 1/2, least relative deviation (9e-8) of all polynomials of degree 5 with value 1 at 0
_P0, _P1, _P2 = np.float32(1.0), np.float32(0.693146978), np.float32(0.240222421)
_P3, _P4, _P5 = np.float32(0.0555073374), np.float32(0.00967151279), np.float32(0.00132647273)
_U_SCALE = np.float32(2.0**-24)
_ONE_BF16 = np.uint16(0x3F80)

Kernel = Callable[..., Any]
_MATHS = {"contract", "nsz", "arcp"}
_POOL = Lock()
_VERSION = zlib.crc32(b"".join(path.read_bytes() for path in sorted(Path(__file__).parents[1].rglob("*.py"))))


def compile_pass(parallel: bool, products: Products | None = None) -> Callable[[Kernel], Kernel]:
    """njit with a cache on disk, or without where no cache directory can be written.

    With `products`, the names that `Products.names` gives replace those of the pass's module: one text serves all ways
    to multiply.  (A closure over them would never be found in the cache again.)

    Parallel passes run one at a time: Numba's own thread pool, which serves where OpenMP is missing, aborts the process
    when two Python threads enter it together.  Numba's cache knows a function by its qualified name and its own file:
    the name tells serial from parallel, and carries a checksum of this folder, whose files compile each other's helpers
    into their passes.
    """

    def decorate(source: Kernel) -> Kernel:
        assert isinstance(source, FunctionType)
        names, kind = (products.names, f"_{products.name}") if products else ({}, "")
        function = FunctionType(source.__code__, source.__globals__ | names, source.__name__)
        function.__qualname__ = f"{source.__qualname__}{kind}_{'parallel' if parallel else 'serial'}_{_VERSION:08x}"
        options: dict[str, Any] = {"parallel": parallel, "nogil": True, "error_model": "numpy", "fastmath": _MATHS}
        try:
            kernel = numba.njit(cache=True, **options)(function)
        except RuntimeError:
            kernel = numba.njit(**options)(function)
        return _one_at_a_time(kernel) if parallel else kernel

    return decorate


def _one_at_a_time(kernel: Kernel) -> Kernel:
    @wraps(kernel)
    def locked(*arguments: Any) -> Any:
        with _POOL:
            return kernel(*arguments)

    return locked


@numba.njit(inline="always")
def philox(c0, c1, c2, c3, k0, k1):  # type: ignore[no-untyped-def]
    """Four words in uint64 registers; the upper halves are cleared where a later step would read them."""
    for _ in range(_ROUNDS):
        p0 = _MULTIPLIER_0 * c0
        p1 = _MULTIPLIER_1 * c2
        c0 = (p1 >> _HALF) ^ c1 ^ k0
        c1 = p1 & _MASK
        c2 = (p0 >> _HALF) ^ c3 ^ k1
        c3 = p0 & _MASK
        k0 = (k0 + _WEYL_0) & _MASK
        k1 = (k1 + _WEYL_1) & _MASK
    return c0, c1, c2, c3


@numba.njit(inline="always")
def fill_words(words, n_groups, first_group, chain, k0, k1, draw, stream):  # type: ignore[no-untyped-def]
    """Random words of the units 4 first_group .. 4 (first_group + n_groups) - 1 of one chain."""
    for g in range(n_groups):
        w0, w1, w2, w3 = philox(uint64(first_group + g), chain, draw, stream, k0, k1)
        words[4 * g] = uint32(w0)
        words[4 * g + 1] = uint32(w1)
        words[4 * g + 2] = uint32(w2)
        words[4 * g + 3] = uint32(w3)


@numba.njit(inline="always")
def active(x, word):  # type: ignore[no-untyped-def]
    """Whether u < sigmoid(x), evaluated as u (1 + 2**t) < 1 with t = -x / ln 2."""
    t = min(max(x * _MINUS_LOG2_E, -_MAX_EXPONENT), _MAX_EXPONENT)
    n = np.floor(t + float32(0.5))
    f = t - n
    power = _P0 + f * (_P1 + f * (_P2 + f * (_P3 + f * (_P4 + f * _P5))))
    scale = int32((int32(n) + int32(127)) << int32(23)).view(np.float32)
    u = float32(int32((word >> uint32(8)) | uint32(1))) * _U_SCALE
    return u * (float32(1.0) + power * scale) < float32(1.0)


def _threshold_bf16(pre, bias, beta, out, scratch, k0, k1, draw, stream, first_chain):  # type: ignore[no-untyped-def]
    n_chains, n_units = pre.shape
    n_spans = scratch.shape[0]
    for span in numba.prange(n_spans):
        words = scratch[span]
        for c in range(span * n_chains // n_spans, (span + 1) * n_chains // n_spans):
            for start in range(0, n_units, BLOCK):
                count = min(BLOCK, n_units - start)
                fill_words(words, (count + 3) // 4, start // 4, uint64(first_chain + c), k0, k1, draw, stream)
                source, target = pre[c, start : start + count], out[c, start : start + count]
                offset = bias[start : start + count]
                for i in range(count):
                    x = uint32(uint32(source[i]) << uint32(16)).view(np.float32)
                    target[i] = _ONE_BF16 if active(beta * (x + offset[i]), words[i]) else uint16(0)


def _threshold_fp32(pre, bias, beta, out, scratch, k0, k1, draw, stream, first_chain):  # type: ignore[no-untyped-def]
    n_chains, n_units = pre.shape
    n_spans = scratch.shape[0]
    for span in numba.prange(n_spans):
        words = scratch[span]
        for c in range(span * n_chains // n_spans, (span + 1) * n_chains // n_spans):
            for start in range(0, n_units, BLOCK):
                count = min(BLOCK, n_units - start)
                fill_words(words, (count + 3) // 4, start // 4, uint64(first_chain + c), k0, k1, draw, stream)
                source, target = pre[c, start : start + count], out[c, start : start + count]
                offset = bias[start : start + count]
                for i in range(count):
                    target[i] = float32(1.0) if active(beta * (source[i] + offset[i]), words[i]) else float32(0.0)


def threshold(precision: str, parallel: bool) -> Kernel:
    """The compiled pass for one precision; without threads where they could not help.

    Its arguments: pre-activation (n_chains, n_units) without bias; bias (n_units,) float32; beta float32;
    out, shape and dtype of the pre-activation; scratch (n_threads, BLOCK) uint32; the two key words, draw and stream
    as uint64; number of the first chain.
    """
    return _KERNELS[precision, parallel]


_KERNELS: dict[tuple[str, bool], Kernel] = {
    (precision, parallel): compile_pass(parallel)(function)
    for precision, function in (("bf16", _threshold_bf16), ("fp32", _threshold_fp32))
    for parallel in (False, True)
}
