r"""The elementwise half of an annealing step as fused Numba passes; see `rbmscape.kernels.interface`.

For each hidden unit one pass turns the product (vW)_j into its contribution to the log weight and into a sample:
with ``e(x) = exp(-|x|)``, ``softplus(x) = max(x, 0) + ln(1 + e)`` and ``σ(x) = (1 or e) / (1 + e)``, so that two
exponentials a unit serve everything.  The logarithms are taken of products over `RUN` units (each factor lies in
[1, 2], so 64 of them stay far inside float32).
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numba import njit
from numpy import float32, int32, uint32, uint64
from numpy.typing import NDArray

from rbmscape.kernels.numba.compile import compile_both
from rbmscape.kernels.numba.philox import BLOCK, NO_DRAW, counter, fill_words
from rbmscape.kernels.numba.threads import MAX_THREADS, thread_count
from rbmscape.rng import Stream

__all__ = ["decay", "hidden_pass", "scratch", "uniform", "visible_pass"]

RUN = 64
BASE = np.int32(254)
_MINUS_LOG2_E = np.float32(-1.4426950408889634)
_FLOOR = np.float32(-126.0)
_P0, _P1, _P2, _P3 = np.float32(1.0), np.float32(0.693147182), np.float32(0.240226462), np.float32(0.0555032887)
_P4, _P5, _P6 = np.float32(0.00961834099), np.float32(0.00133988157), np.float32(0.000153534)
_U_SCALE = np.float32(2.0**-24)
_SUMS = {"contract", "nsz", "arcp", "reassoc"}

Draw = tuple[Stream, int, int]


@njit(inline="always")
def decay(x):  # type: ignore[no-untyped-def]
    """exp(-|x|) in float32."""
    t = max(abs(x) * _MINUS_LOG2_E, _FLOOR)
    n = np.floor(t + float32(0.5))
    f = t - n
    power = _P0 + f * (_P1 + f * (_P2 + f * (_P3 + f * (_P4 + f * (_P5 + f * _P6)))))
    return power * int32((int32(n) + int32(127)) << int32(23)).view(np.float32)


@njit(inline="always")
def uniform(word):  # type: ignore[no-untyped-def]
    """float32 in (0, 1) from a random word, as in `rbmscape.rng.uniform_from_bits`."""
    return float32(int32((word >> uint32(8)) | uint32(1))) * _U_SCALE


@njit(fastmath=_SUMS, error_model="numpy", nogil=True)
def _weigh_run(field, base, bias, start, end):  # type: ignore[no-untyped-def]
    """Σ softplus(x(end)) - softplus(x(start)) over at most RUN units."""
    linear, above, below = float32(0.0), float32(1.0), float32(1.0)
    for i in range(field.size):
        full = bias[i] + field[i] - base[i]
        x0, x1 = base[i] + start * full, base[i] + end * full
        linear += max(x1, float32(0.0)) - max(x0, float32(0.0))
        above *= float32(1.0) + decay(x1)
        below *= float32(1.0) + decay(x0)
    return float(linear) + math.log(float(above) / float(below))


@njit(fastmath=_SUMS, error_model="numpy", nogil=True)
def _hidden_run(field, base, bias, start, end, words, out):  # type: ignore[no-untyped-def]
    """The same sum, and out ~ Bernoulli(σ(x(end)))."""
    linear, above, below = float32(0.0), float32(1.0), float32(1.0)
    for i in range(field.size):
        full = bias[i] + field[i] - base[i]
        x0, x1 = base[i] + start * full, base[i] + end * full
        linear += max(x1, float32(0.0)) - max(x0, float32(0.0))
        d = decay(x1)
        factor = float32(1.0) + d
        above *= factor
        below *= float32(1.0) + decay(x0)
        out[i] = uniform(words[i]) * factor < (float32(1.0) if x1 >= float32(0.0) else d)
    return float(linear) + math.log(float(above) / float(below))


@njit(fastmath=_SUMS, error_model="numpy", nogil=True)
def _visible_run(field, base, bias, end, words, out):  # type: ignore[no-untyped-def]
    """out ~ Bernoulli(σ(base + end (bias + field - base))); returns (bias - base)·out."""
    drive = float32(0.0)
    for i in range(field.size):
        difference = bias[i] - base[i]
        x = base[i] + end * (difference + field[i])
        d = decay(x)
        active = uniform(words[i]) * (float32(1.0) + d) < (float32(1.0) if x >= float32(0.0) else d)
        out[i] = active
        drive += difference if active else float32(0.0)
    return float(drive)


@njit(inline="always")
def _read(product, paired, n_units, first, scale, field):  # type: ignore[no-untyped-def]
    """Products of the units first .. first + field.size - 1 of one chain, as floats."""
    if paired:
        for i in range(field.size):
            field[i] = scale * float32(BASE * product[first + i] + product[n_units + first + i])
    else:
        for i in range(field.size):
            field[i] = product[first + i]


def _hidden(  # type: ignore[no-untyped-def]
    product, paired, base, bias, scale, start, end, sample, out, log_weights, scratch, k0, k1, draw, stream, first_chain
):
    n_chains, n_units = out.shape
    n_spans = scratch.shape[0]
    for span in numba.prange(n_spans):
        words, fields = scratch[span, :BLOCK], scratch[span, BLOCK:].view(np.float32)
        for c in range(span * n_chains // n_spans, (span + 1) * n_chains // n_spans):
            total = 0.0
            for first in range(0, n_units, BLOCK):
                count = min(BLOCK, n_units - first)
                _read(product[c], paired, n_units, first, scale, fields[:count])
                if sample:
                    fill_words(words, (count + 3) // 4, first // 4, uint64(first_chain + c), k0, k1, draw, stream)
                for low in range(0, count, RUN):
                    high = min(low + RUN, count)
                    offset, full = base[first + low : first + high], bias[first + low : first + high]
                    if sample:
                        states = out[c, first + low : first + high]
                        total += _hidden_run(fields[low:high], offset, full, start, end, words[low:high], states)
                    else:
                        total += _weigh_run(fields[low:high], offset, full, start, end)
            log_weights[c] += total


def _visible(  # type: ignore[no-untyped-def]
    product, paired, base, bias, scale, end, out, drive, scratch, k0, k1, draw, stream, first_chain
):
    n_chains, n_units = out.shape
    n_spans = scratch.shape[0]
    for span in numba.prange(n_spans):
        words, fields = scratch[span, :BLOCK], scratch[span, BLOCK:].view(np.float32)
        for c in range(span * n_chains // n_spans, (span + 1) * n_chains // n_spans):
            total = 0.0
            for first in range(0, n_units, BLOCK):
                count = min(BLOCK, n_units - first)
                _read(product[c], paired, n_units, first, scale, fields[:count])
                fill_words(words, (count + 3) // 4, first // 4, uint64(first_chain + c), k0, k1, draw, stream)
                last = first + count
                states = out[c, first:last]
                total += _visible_run(fields[:count], base[first:last], bias[first:last], end, words, states)
            drive[c] = total


_HIDDEN, _VISIBLE = compile_both(_hidden), compile_both(_visible)


def scratch() -> NDArray[np.uint32]:
    """Random words and products of one block of units for each thread that Numba may use."""
    return np.zeros((MAX_THREADS, 2 * BLOCK), dtype=np.uint32)


def _spans(words: NDArray[np.uint32], out: NDArray[Any]) -> tuple[NDArray[np.uint32], bool]:
    threads = thread_count(out.shape[0], out.size)
    return words[:threads], threads > 1


def _numbers(draw: Draw | None) -> tuple[Any, ...]:
    if draw is None:
        return *NO_DRAW, 0
    stream, number, first_chain = draw
    return *counter(stream, number), first_chain


def hidden_pass(
    product: NDArray[Any],
    base: NDArray[np.float32],
    bias: NDArray[np.float32],
    scale_start_end: tuple[float, float, float],
    out_weights_words: tuple[NDArray[Any], NDArray[np.float64], NDArray[np.uint32]],
    draw: Draw | None,
) -> None:
    """Add each chain's ``Σ_j softplus(x_j(end)) - softplus(x_j(start))`` to its log weight and draw h at `end`.

    Parameters
    ----------
    product : (n_chains, M) float32, or (n_chains, 2 M) int32, high parts before low parts
    base, bias : (M,) float32, b0 and b
    scale_start_end : value of one unit of the product, and the two temperatures
    out_weights_words : h (n_chains, M), log weights (n_chains,), `scratch()`; the first two are written
    draw : stream, number of the draw, number of the first chain; None to weigh only
    """
    out, log_weights, words = out_weights_words
    spans, parallel = _spans(words, out)
    scale, start, end = (np.float32(value) for value in scale_start_end)
    paired = product.dtype == np.int32
    arguments = (product, paired, base, bias, scale, start, end, draw is not None, out, log_weights, spans)
    _HIDDEN[parallel](*arguments, *_numbers(draw))


def visible_pass(
    product: NDArray[Any],
    base: NDArray[np.float32],
    bias: NDArray[np.float32],
    scale_end: tuple[float, float],
    out_drive_words: tuple[NDArray[Any], NDArray[np.float64], NDArray[np.uint32]],
    draw: Draw,
) -> None:
    """Draw v at temperature `end`, and write each chain's ``(a - a0)·v`` to `drive`; arguments as in `hidden_pass`."""
    out, drive, words = out_drive_words
    spans, parallel = _spans(words, out)
    scale, end = (np.float32(value) for value in scale_end)
    arguments = (product, product.dtype == np.int32, base, bias, scale, end, out, drive, spans)
    _VISIBLE[parallel](*arguments, *_numbers(draw))
