# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, disallow-untyped-calls=False
r"""What a GPU program does to a tile of units: random words, powers of two, the comparison with the uniform number.

The same operations in the same order as `rbmscape.kernels.llvm.units`, each rounded as IEEE 754 says, so that the
states are the same bit for bit: ``t = -x / ln 2``, a polynomial for ``2**t``, and ``u (1 + 2**t) < 1``.  Kernels are
launched with `rbmscape.kernels.cuda.models.EXACT`; multiplications and additions are fused in `fused` alone.

Triton's interpreter, with which the tests run on processors, multiplies and adds float32 in two steps; there `fused`
goes by float64, which holds the product exactly and whose sum, rounded twice, is wrong once in 2**29.
"""

from __future__ import annotations

import os

import triton
import triton.language as tl

from rbmscape.kernels import rounding
from rbmscape.rng import MULTIPLIERS, ROUNDS, WEYL

__all__ = ["INTERPRETED", "active", "fused", "nearest", "power_of_two", "random_words"]

INTERPRETED = tl.constexpr(os.environ.get("TRITON_INTERPRET") == "1")
_C0, _C1, _C2, _C3, _C4, _C5 = (tl.constexpr(coefficient) for coefficient in rounding.POWER)
_M0, _M1 = (tl.constexpr(factor) for factor in MULTIPLIERS)
_W0, _W1 = (tl.constexpr(step) for step in WEYL)
_ROUNDS = tl.constexpr(ROUNDS)
_EDGE = tl.constexpr(64.0)
_LIFT = tl.constexpr(12582912.0)
_LIFT64 = tl.constexpr(6755399441055744.0)
_ONE_BITS = tl.constexpr(0x3F800000)
_HALF_CELL = tl.constexpr(1.0 - 2.0**-24)


@triton.jit
def fused(a, b, c):
    """a b + c of float32 tensors, rounded once."""
    if INTERPRETED:
        return (a.to(tl.float64) * b.to(tl.float64) + c.to(tl.float64)).to(tl.float32)
    return tl.fma(a, b, c)


@triton.jit
def _next(power, fraction, coefficient: tl.constexpr):
    return fused(power, fraction, tl.full(power.shape, coefficient, tl.float32))


@triton.jit
def power_of_two(t):
    """2**t; beyond ±64 that of the nearer end, with which every comparison and every mean is the same.

    The fraction of t is rounded down, as AVX-512's reduction does it, and not every negative t has an exact one.
    """
    t = tl.where(t < _EDGE, t, _EDGE)
    t = tl.where(t > -_EDGE, t, -_EDGE)
    if INTERPRETED:
        whole = tl.floor(t)
        lifted = whole + _LIFT
        fraction = t - whole
        above = fraction + whole > t
        fraction = tl.where(above, (fraction.to(tl.int32, bitcast=True) - 1).to(tl.float32, bitcast=True), fraction)
    else:
        lifted = tl.inline_asm_elementwise(
            "add.rm.f32 $0, $1, 0f4B400000;", "=f,f", [t], dtype=tl.float32, is_pure=True, pack=1
        )
        whole = lifted - _LIFT
        fraction = tl.inline_asm_elementwise(
            "sub.rm.f32 $0, $1, $2;", "=f,f,f", [t, whole], dtype=tl.float32, is_pure=True, pack=1
        )
    power = tl.full(t.shape, _C5, tl.float32)
    power = _next(power, fraction, _C4)
    power = _next(power, fraction, _C3)
    power = _next(power, fraction, _C2)
    power = _next(power, fraction, _C1)
    power = _next(power, fraction, _C0)
    shift = lifted.to(tl.int32, bitcast=True) << 23
    return (power.to(tl.int32, bitcast=True) + shift).to(tl.float32, bitcast=True)


@triton.jit
def active(t, word):
    """Whether ``u (1 + 2**t) < 1``, where 1 + u has the random word's upper 23 bits as its fraction."""
    uniform = ((word >> 9) | _ONE_BITS).to(tl.float32, bitcast=True) - _HALF_CELL
    return fused(uniform, power_of_two(t), uniform) < 1.0


@triton.jit
def nearest(x):
    """float64 below 2**51 to the nearest integer, halves to even, as float64."""
    return (x + _LIFT64) - _LIFT64


@triton.jit
def _philox_round(c0, c1, c2, c3, k0, k1):
    first = c0.to(tl.uint64) * _M0
    third = c2.to(tl.uint64) * _M1
    return (
        (third >> 32).to(tl.uint32) ^ c1 ^ k0,
        third.to(tl.uint32),
        (first >> 32).to(tl.uint32) ^ c3 ^ k1,
        first.to(tl.uint32),
    )


@triton.jit
def random_words(fours, chains, draw, stream, key0, key1):
    """Words of whole groups of four units (`rbmscape.rng`): (chains, 4 groups) uint32.

    fours, chains : (groups,), (chains,) uint32 numbers of the groups and of the chains; the rest uint32 scalars
    """
    zeros = tl.zeros((chains.shape[0], fours.shape[0]), tl.uint32)
    c0, c1 = zeros + fours[None, :], zeros + chains[:, None]
    c2, c3 = zeros + draw, zeros + stream
    k0, k1 = key0, key1
    for _ in tl.static_range(_ROUNDS):
        c0, c1, c2, c3 = _philox_round(c0, c1, c2, c3, k0, k1)
        k0 = (k0 + _W0).to(tl.uint32)
        k1 = (k1 + _W1).to(tl.uint32)
    return tl.join(tl.join(c0, c2), tl.join(c1, c3)).reshape(chains.shape[0], 4 * fours.shape[0])
