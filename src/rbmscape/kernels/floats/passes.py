r"""The elementwise half of a Gibbs half-step as one Numba pass over the pre-activations.

For each unit: bias, inverse temperature, sigmoid, Philox uniform, comparison, and the store in the number format that
the next matrix product reads; no array of probabilities or of random numbers exists.  The comparison
``u < 1 / (1 + e^{-x})`` is evaluated as ``u (1 + e^{-x}) < 1``, which needs no division.

bfloat16 arrays appear as uint16: a bf16 number is the upper half of a float32, 1.0 is 0x3F80.

Each thread takes one contiguous span of the chains and a row of the caller's scratch.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy import float32, int32, uint16, uint32, uint64

from rbmscape.kernels.numba.compile import Kernel, compile_both
from rbmscape.kernels.numba.philox import BLOCK, fill_words

__all__ = ["active", "threshold"]

_MINUS_LOG2_E = np.float32(-1.4426950408889634)
_MAX_EXPONENT = np.float32(126.0)
# 2**f for |f| <= 1/2, least relative deviation (9e-8) of all polynomials of degree 5 with value 1 at 0
_P0, _P1, _P2 = np.float32(1.0), np.float32(0.693146978), np.float32(0.240222421)
_P3, _P4, _P5 = np.float32(0.0555073374), np.float32(0.00967151279), np.float32(0.00132647273)
_U_SCALE = np.float32(2.0**-24)
_ONE_BF16 = np.uint16(0x3F80)


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


_KERNELS = {"bf16": compile_both(_threshold_bf16), "fp32": compile_both(_threshold_fp32)}


def threshold(precision: str) -> dict[bool, Kernel]:
    """The compiled passes for one precision, the serial one (False) for where threads could not help.

    Their arguments: pre-activation (n_chains, n_units) without bias; bias (n_units,) float32; beta float32;
    out, shape and dtype of the pre-activation; scratch (n_threads, BLOCK) uint32; the two key words, draw and stream
    as uint64; number of the first chain.
    """
    return _KERNELS[precision]
