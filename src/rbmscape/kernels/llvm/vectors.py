"""Vector code for sixteen lanes in LLVM's language: Philox words, powers of two, fused multiplication.

Numba's vectoriser, where it works at all, uses registers of half the width on Intel's processors, and does not know
AVX-512's instructions for powers of two and for numbers put together of bits.
"""

from __future__ import annotations

from typing import Any, Final

from llvmlite import ir
from numba.core import cgutils

from rbmscape.kernels.rounding import POWER
from rbmscape.rng import MULTIPLIERS, ROUNDS, WEYL

__all__ = [
    "FLOAT",
    "FLOATS",
    "INT",
    "INTS",
    "LANES",
    "LONG",
    "call",
    "constant",
    "fused",
    "minimum",
    "power_of_two",
    "random_words",
    "spread",
]

LANES: Final = 16
INT, LONG, FLOAT = ir.IntType(32), ir.IntType(64), ir.FloatType()
INTS, FLOATS = ir.VectorType(INT, LANES), ir.VectorType(FLOAT, LANES)
_SHORT, _WIDE = ir.IntType(16), ir.VectorType(LONG, LANES // 2)
_LOW: Final = 0xFFFFFFFF


def constant(kind: Any, value: float) -> Any:
    """One value in all lanes."""
    return ir.Constant(kind, [value] * kind.count)


def spread(builder: Any, value: Any, kind: Any = FLOATS) -> Any:
    """A scalar in all lanes."""
    undefined = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(undefined, value, INT(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(INT, kind.count), [0] * kind.count))


def call(builder: Any, name: str, result: Any, *arguments: Any) -> Any:
    """Call of an LLVM function."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)  # type: ignore[no-untyped-call]


def fused(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """a b + c, rounded once."""
    return call(builder, "llvm.fma.v16f32", FLOATS, a, b, c)


def minimum(builder: Any, a: Any, b: Any) -> Any:
    """The smaller one of each lane."""
    return builder.select(builder.fcmp_ordered("<", a, b), a, b)


def power_of_two(builder: Any, t: Any) -> Any:
    """2**t, infinite t included."""
    everywhere, masked, current_rounding, floor = ir.Constant(_SHORT, -1), constant(FLOATS, 0.0), INT(4), INT(9)
    how = masked, everywhere, current_rounding
    fraction = call(builder, "llvm.x86.avx512.mask.reduce.ps.512", FLOATS, t, floor, *how)
    power = constant(FLOATS, POWER[-1])
    for coefficient in reversed(POWER[:-1]):
        power = fused(builder, power, fraction, constant(FLOATS, coefficient))
    return call(builder, "llvm.x86.avx512.mask.scalef.ps.512", FLOATS, power, t, *how)


def _philox(builder: Any, counter: list[Any], key: tuple[Any, Any]) -> list[Any]:
    """The four words of one counter a 64-bit lane, in the lower halves; upper halves hold anything.

    counter : scalars but for the second word, a vector; multiplications clear the upper halves of what they read
    """
    low, half = constant(_WIDE, _LOW), constant(_WIDE, 32)
    multipliers = [constant(_WIDE, factor) for factor in MULTIPLIERS]
    words = [word if word.type == _WIDE else spread(builder, word, _WIDE) for word in counter]
    keys = list(key)
    for _ in range(ROUNDS):
        first, third = (builder.mul(multipliers[n], builder.and_(words[2 * n], low)) for n in range(2))
        everywhere = [spread(builder, one, _WIDE) for one in keys]
        words = [
            builder.xor(builder.xor(builder.lshr(third, half), words[1]), everywhere[0]),
            third,
            builder.xor(builder.xor(builder.lshr(first, half), words[3]), everywhere[1]),
            first,
        ]
        keys = [builder.and_(builder.add(one, LONG(step)), LONG(_LOW)) for one, step in zip(keys, WEYL, strict=True)]
    return words


def random_words(builder: Any, four: Any, chain: Any, rest: tuple[Any, Any], key: tuple[Any, Any]) -> list[Any]:
    """Four random words of sixteen chains (`rbmscape.rng`): even chains in lower halves of 64 bits, odd ones above.

    four, chain, rest, key : number of the four units, number of the first chain, draw and stream, key words; uint64
    """
    low = constant(_WIDE, _LOW)
    both = []
    for parity in range(2):
        numbers = ir.Constant(_WIDE, [2 * k + parity for k in range(LANES // 2)])
        chains = builder.and_(builder.add(spread(builder, chain, _WIDE), numbers), low)
        both.append(_philox(builder, [four, chains, *rest], key))
    return [
        builder.bitcast(builder.or_(builder.and_(even, low), builder.shl(odd, constant(_WIDE, 32))), INTS)
        for even, odd in zip(*both, strict=True)
    ]
