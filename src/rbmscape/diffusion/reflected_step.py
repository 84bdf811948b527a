r"""One step of a diffusion in the cube with exactly reflecting walls, fused into one pass per layer.

    x' = x + b + L,   b = dt (field + (f(x) + f(x_E))/2) + s ξ,   s = sqrt(2 D dt),   f(x) = -ln(x/(1-x))/β,
    L = max(0, -(x + I)),   I = (b - sqrt(b² - 2 s² ln U)) / 2.

x_E is the end of a plain Euler step (Heun's corrector for the stiff entropic force, which is local and needs no further
matrix product).  I is the lowest point of the Brownian bridge between the ends of the step and L the push that
Skorokhod's reflection at 0 needs, so that a constant drift is reflected without an error in dt (Lépingle 1995;
Asmussen, Glynn and Pitman 1995).  The wall nearer to the middle of the step is treated so, the other one by mirroring;
s must be well below the cube's width.  In f, x² is replaced by x² + c² s², c² = exp(-γ - ln 2 - 1): the average
of ln x over a step that starts on the wall.  ξ and U come from counters (seed, stream, draw, chain, unit) and do not
depend on threads or devices.  Shapes: states and fields (n_chains, n_units).
"""

from __future__ import annotations

import math

import numba
import numpy as np
import torch
from numpy import float32, int32, uint32, uint64
from torch import Tensor

from rbmscape.kernels.numba.compile import compile_pass
from rbmscape.kernels.numba.philox import BLOCK, fill_words
from rbmscape.kernels.numba.threads import MAX_THREADS
from rbmscape.model.rbm import RBM
from rbmscape.rng import Stream

__all__ = ["MARGIN", "ReflectedIntegrator", "fused_step", "reference_step"]

MARGIN = 1e-6
"""States are kept this far from the walls, where the drift's logarithm diverges."""

_LOW, _HIGH = np.float32(MARGIN), np.float32(1.0 - MARGIN)
_BLUR = np.float32(math.exp(-np.euler_gamma - math.log(2.0) - 1.0))
_U_SCALE = np.float32(2.0**-24)
_LN2 = np.float32(math.log(2.0))
_ROOT_TWO = np.float32(math.sqrt(2.0))
# ln(1 + f) = f - f²/2 + f³ P(f) on [1/√2 - 1, √2 - 1] (Cephes, Moshier 1992)
_L = tuple(
    np.float32(c)
    for c in (
        7.0376836292e-2,
        -1.1514610310e-1,
        1.1676998740e-1,
        -1.2420140846e-1,
        1.4249322787e-1,
        -1.6668057665e-1,
        2.0000714765e-1,
        -2.4999993993e-1,
        3.3333331174e-1,
    )
)
_L0, _L1, _L2, _L3, _L4, _L5, _L6, _L7, _L8 = _L
# erf⁻¹(x) = x Q(w), w = -ln(1 - x²), centre and tail (Giles, GPU Computing Gems, 2012)
_C = tuple(
    np.float32(c)
    for c in (
        2.81022636e-08,
        3.43273939e-07,
        -3.5233877e-06,
        -4.39150654e-06,
        0.00021858087,
        -0.00125372503,
        -0.00417768164,
        0.246640727,
        1.50140941,
    )
)
_C0, _C1, _C2, _C3, _C4, _C5, _C6, _C7, _C8 = _C
_T = tuple(
    np.float32(c)
    for c in (
        -0.000200214257,
        0.000100950558,
        0.00134934322,
        -0.00367342844,
        0.00573950773,
        -0.0076224613,
        0.00943887047,
        1.00167406,
        2.83297682,
    )
)
_T0, _T1, _T2, _T3, _T4, _T5, _T6, _T7, _T8 = _T


@numba.njit(inline="always")
def _log(x):  # type: ignore[no-untyped-def]
    """Natural logarithm of a normal positive float32, relative error about 1e-7."""
    bits = float32(x).view(np.int32)
    exponent = (bits - int32(0x3F3504F3)) >> int32(23)
    f = int32(bits - (exponent << int32(23))).view(np.float32) - float32(1.0)
    p = _L0
    p = p * f + _L1
    p = p * f + _L2
    p = p * f + _L3
    p = p * f + _L4
    p = p * f + _L5
    p = p * f + _L6
    p = p * f + _L7
    p = p * f + _L8
    square = f * f
    return f + (p * f - float32(0.5)) * square + float32(exponent) * _LN2


@numba.njit(inline="always")
def _uniform(word):  # type: ignore[no-untyped-def]
    return float32(int32((word >> uint32(8)) | uint32(1))) * _U_SCALE


@numba.njit(inline="always")
def _normal(word):  # type: ignore[no-untyped-def]
    """Standard normal from one word: √2 erf⁻¹(2u - 1)."""
    u = _uniform(word)
    w = -_log(float32(4.0) * u * (float32(1.0) - u))
    c = w - float32(2.5)
    centre = _C0
    centre = centre * c + _C1
    centre = centre * c + _C2
    centre = centre * c + _C3
    centre = centre * c + _C4
    centre = centre * c + _C5
    centre = centre * c + _C6
    centre = centre * c + _C7
    centre = centre * c + _C8
    t = np.sqrt(max(w, float32(0.0))) - float32(3.0)
    tail = _T0
    tail = tail * t + _T1
    tail = tail * t + _T2
    tail = tail * t + _T3
    tail = tail * t + _T4
    tail = tail * t + _T5
    tail = tail * t + _T6
    tail = tail * t + _T7
    tail = tail * t + _T8
    factor = centre if w < float32(5.0) else tail
    return _ROOT_TWO * factor * (float32(2.0) * u - float32(1.0))


@numba.njit(inline="always")
def _blurred_odds(x, blur):  # type: ignore[no-untyped-def]
    """(x/(1-x))² with the walls blurred over the width of a step."""
    far = float32(1.0) - x
    return (x * x + blur) / (far * far + blur)


@numba.njit(inline="always")
def _advance(x, field, dt, drift_dt, noise, variance, blur, word, bridge):  # type: ignore[no-untyped-def]
    """New position of one unit; drift_dt = dt/β, noise = s, variance = 2 s², blur = c² s²."""
    odds = _blurred_odds(x, blur)
    push = dt * field + noise * _normal(word)
    end = x + push - float32(0.5) * drift_dt * _log(odds)
    end = min(max(min(abs(end), float32(2.0) - end), float32(0.0)), float32(1.0))
    b = push - float32(0.25) * drift_dt * _log(odds * _blurred_odds(end, blur))
    upper = x + float32(0.5) * b > float32(0.5)
    y = float32(1.0) - x if upper else x
    c = -b if upper else b
    lowest = float32(0.5) * (c - np.sqrt(c * c - variance * _log(_uniform(bridge))))
    y = y + c + max(float32(0.0), -(y + lowest))
    y = float32(2.0) - y if y > float32(1.0) else y
    x = float32(1.0) - y if upper else y
    return min(max(x, _LOW), _HIGH)


@numba.njit(inline="always")
def _span(span, n_spans, state, field, bias, dt, drift_dt, noise, scratch, k0, k1, draw, stream):  # type: ignore[no-untyped-def]
    """The chains of one thread."""
    n_chains, n_units = state.shape
    variance, blur = float32(2.0) * noise * noise, _BLUR * noise * noise
    words, bridges = scratch[span, 0], scratch[span, 1]
    for c in range(span * n_chains // n_spans, (span + 1) * n_chains // n_spans):
        for start in range(0, n_units, BLOCK):
            count = min(BLOCK, n_units - start)
            groups = (count + 3) // 4
            fill_words(words, groups, start // 4, uint64(c), k0, k1, draw, stream)
            fill_words(bridges, groups, start // 4, uint64(c), k0, k1, draw + uint64(1), stream)
            x, f, a = state[c, start : start + count], field[c, start : start + count], bias[start : start + count]
            for i in range(count):
                x[i] = _advance(x[i], f[i] + a[i], dt, drift_dt, noise, variance, blur, words[i], bridges[i])


@compile_pass(parallel=True)
def _step_parallel(state, field, bias, dt, drift_dt, noise, scratch, k0, k1, draw, stream):  # type: ignore[no-untyped-def]
    n_spans = scratch.shape[0]
    for span in numba.prange(n_spans):
        _span(span, n_spans, state, field, bias, dt, drift_dt, noise, scratch, k0, k1, draw, stream)


@compile_pass(parallel=False)
def _step_serial(state, field, bias, dt, drift_dt, noise, scratch, k0, k1, draw, stream):  # type: ignore[no-untyped-def]
    _span(0, 1, state, field, bias, dt, drift_dt, noise, scratch, k0, k1, draw, stream)


def fused_step(
    state: Tensor,
    field: Tensor,
    bias: Tensor,
    step: tuple[float, float, float],
    stream: Stream,
    draw: int,
    scratch: Tensor,
) -> None:
    """Advance a layer in place on the CPU.

    Parameters
    ----------
    state : (n_chains, n_units) float32 in (0, 1), changed
    field : (n_chains, n_units) float32, the other layer's part of the drift
    bias : (n_units,) float32
    step : dt, dt/β, s
    stream, draw : source of ξ (draw) and U (draw + 1)
    scratch : (n_threads, 2, BLOCK) int32
    """
    dt, drift_dt, noise = (np.float32(value) for value in step)
    key = (uint64(word) for word in stream.key)
    words = scratch.numpy().view(np.uint32)
    kernel = _step_parallel if scratch.shape[0] > 1 else _step_serial
    kernel(
        state.numpy(), field.numpy(), bias.numpy(), dt, drift_dt, noise, words, *key, uint64(draw), uint64(stream.id)
    )


def reference_step(
    state: Tensor, field: Tensor, bias: Tensor, step: tuple[float, float, float], stream: Stream, draw: int
) -> None:
    """The same step in plain torch, for any dtype and device; agrees with `fused_step` to rounding."""
    dt, drift_dt, noise = step
    n_chains, n_units = state.shape
    first, bridge = (stream.uniform(draw + k, n_chains, n_units, device=state.device).to(state.dtype) for k in (0, 1))
    normal = math.sqrt(2.0) * torch.erfinv(2 * first - 1)
    blur = float(_BLUR) * noise**2
    push = dt * (field + bias) + noise * normal
    start_force = _blurred_logit(state, blur)
    end = state + push - drift_dt * start_force
    end = torch.minimum(end.abs(), 2 - end).clamp_(0.0, 1.0)
    b = push - 0.5 * drift_dt * (start_force + _blurred_logit(end, blur))
    upper = state + 0.5 * b > 0.5
    y, c = torch.where(upper, 1 - state, state), torch.where(upper, -b, b)
    lowest = 0.5 * (c - torch.sqrt(c.square() - 2 * noise**2 * torch.log(bridge)))
    y = y + c + torch.clamp(-(y + lowest), min=0.0)
    y = torch.where(y > 1, 2 - y, y)
    state.copy_(torch.where(upper, 1 - y, y).clamp_(MARGIN, 1 - MARGIN))


def _blurred_logit(state: Tensor, blur: float) -> Tensor:
    return 0.5 * torch.log((state.square() + blur) / ((1 - state).square() + blur))


class ReflectedIntegrator:
    """Advances both layers in place; the state after step s is a function of the seed and the start alone.

    Parameters
    ----------
    rbm : the model
    m, n : (n_chains, N), (n_chains, M) activities in (0, 1), changed in place; float32 on the CPU takes the fused pass
    beta, diffusion, dt : inverse temperature, D, time step
    stream : source of the noise; step s uses draws 4s to 4s + 3
    """

    def __init__(
        self, rbm: RBM, m: Tensor, n: Tensor, beta: float, diffusion: float, dt: float, stream: Stream
    ) -> None:
        self._m, self._n = m, n
        self._weights = rbm.weights.to(m.dtype).contiguous()
        self._transposed = self._weights.T.contiguous()
        self._biases = rbm.visible_bias.to(m.dtype), rbm.hidden_bias.to(m.dtype)
        self._fields = torch.empty_like(m), torch.empty_like(n)
        self._step = (dt, dt / beta, math.sqrt(2 * diffusion * dt))
        self._stream = stream
        self._fused = m.dtype == torch.float32 and m.device.type == "cpu"
        threads = min(torch.get_num_threads(), MAX_THREADS, max(1, m.shape[0] // 8))
        if self._fused and threads > 1:
            torch_threads = torch.get_num_threads()
            numba.set_num_threads(threads)
            torch.set_num_threads(torch_threads)  # Numba's first start resets the pool that torch shares with it
        self._scratch = torch.zeros((threads, 2, BLOCK), dtype=torch.int32)

    def advance(self, step: int) -> None:
        """One time step: two matrix products from the old state, then one pass over each layer."""
        torch.mm(self._n, self._transposed, out=self._fields[0])
        torch.mm(self._m, self._weights, out=self._fields[1])
        for layer, field, bias, draw in zip(
            (self._m, self._n), self._fields, self._biases, (4 * step, 4 * step + 2), strict=True
        ):
            if self._fused:
                fused_step(layer, field, bias, self._step, self._stream, draw, self._scratch)
            else:
                reference_step(layer, field, bias, self._step, self._stream, draw)
