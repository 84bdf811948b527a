r"""What passes do to sixteen chains inside AVX-512 registers: draw four units, take the mean of one, weigh some.

All of it goes by ``t = -x / ln 2`` instead of a unit's field x, so that ``exp(-x) = 2**t``; `powers` turns the slope
and the fields of a product into those of t.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from rbmscape.kernels.llvm.vectors import (
    FLOAT,
    FLOATS,
    INT,
    INTS,
    LANES,
    LONG,
    call,
    constant,
    fused,
    minimum,
    power_of_two,
    random_words,
    spread,
)
from rbmscape.kernels.rounding import MINUS_LOG2_E

__all__ = ["LANES", "draw_four", "powers", "weigher", "weighted_means"]

_SHORT = ir.IntType(16)
_ONE_BITS: Final = 0x3F800000  # of the float32 1.0


def powers(slope: float, fields: NDArray[np.float32]) -> tuple[np.float32, NDArray[np.float32]]:
    """Slope and fields of ``x = slope · product + field`` to those of ``t = -x / ln 2``."""
    return np.float32(MINUS_LOG2_E * slope), np.float32(MINUS_LOG2_E) * fields


class _Arrays:
    """Access to the array arguments of an intrinsic, by offsets from their first element."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        self._builder, self._kinds = builder, signature.args
        self._make: Callable[[int], Any] = lambda k: (
            context.make_array(signature.args[k])(context, builder, arguments[k]).data
        )

    def _at(self, argument: int, offset: Any, kind: Any) -> Any:
        place = self._builder.gep(self._make(argument), [offset], source_etype=getattr(kind, "element", kind))
        return self._builder.bitcast(place, kind.as_pointer())

    def integers(self, argument: int, offset: Any) -> Any:
        """Sixteen int16 or int32 as int32."""
        bits = self._kinds[argument].dtype.bitwidth
        kind = ir.VectorType(ir.IntType(bits), LANES)
        values = self._builder.load(self._at(argument, offset, kind), align=bits // 8, typ=kind)
        return self._builder.sext(values, INTS) if bits < INT.width else values

    def floats(self, argument: int, offset: Any) -> Any:
        """Sixteen float32."""
        return self._builder.load(self._at(argument, offset, FLOATS), align=4, typ=FLOATS)

    def scalar(self, argument: int, offset: Any) -> Any:
        """One float32 in all lanes."""
        return spread(self._builder, self._builder.load(self._at(argument, offset, FLOAT), typ=FLOAT))

    def store(self, argument: int, offset: Any, values: Any) -> None:
        """Sixteen numbers of 32 bits."""
        self._builder.store(values, self._at(argument, offset, values.type), align=4)


def _active(builder: Any, t: Any, word: Any) -> Any:
    """One bit a lane: whether ``u (1 + 2**t) < 1``, where 1 + u has the random word's upper 23 bits as its fraction."""
    bits = call(builder, "llvm.fshl.v16i32", INTS, constant(INTS, _ONE_BITS >> 23), word, constant(INTS, 23))
    uniform = builder.fsub(builder.bitcast(bits, FLOATS), constant(FLOATS, 1.0 - 2.0**-24))
    scaled = fused(builder, uniform, power_of_two(builder, t), uniform)
    return builder.fcmp_ordered("<", scaled, constant(FLOATS, 1.0))


def _draw(spacing: int) -> Any:
    """The intrinsic for bits that stand ``spacing`` apart."""

    @intrinsic
    def draw(typingctx, products, at, stride, slope, fields, unit, counter, four, chain, out, out_at):  # type: ignore[no-untyped-def]  # noqa: ARG001
        """out.flat[out_at + c] = Σ_k bit_k << (spacing k) for sixteen chains c and the units 4 four + k.

        Bit k is drawn with probability 1 / (1 + 2**t), t = fields[unit + k] + slope · products.flat[at + stride k + c].

        products : int16 or int32; counter : (two key words, draw, stream) uint64; chain : number of the first
        """
        signature = types.void(products, at, stride, slope, fields, unit, counter, four, chain, out, out_at)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _, at, stride, slope, _, unit, counter, four, chain, _, out_at = arguments
            arrays = _Arrays(context, builder, signature, arguments)
            key0, key1, draw, stream = (builder.extract_value(counter, k) for k in range(4))
            slopes, bits = spread(builder, slope), constant(INTS, 0)
            for k, word in enumerate(random_words(builder, four, chain, (draw, stream), (key0, key1))):
                product = arrays.integers(0, builder.add(at, builder.mul(stride, LONG(k))))
                field = arrays.scalar(4, builder.add(unit, LONG(k)))
                active = _active(builder, fused(builder, slopes, builder.sitofp(product, FLOATS), field), word)
                chosen = builder.select(active, constant(INTS, 1 << (spacing * k)), constant(INTS, 0))
                bits = builder.or_(bits, chosen)
            arrays.store(9, out_at, bits)
            return context.get_dummy_value()

        return signature, generate

    return draw


draw_four = {spacing: _draw(spacing) for spacing in (1, 8)}


def _weighted_means(typingctx, products, at, slope, fields, unit, weights, first, out):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """out[first + c] = rint(weights[first + c] / (1 + 2**t)), t = fields[unit] + slope · products.flat[at + c], c < 16.

    products, out : int32; weights : float32
    """
    signature = types.void(products, at, slope, fields, unit, weights, first, out)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, at, slope, _, unit, _, first, _ = arguments
        arrays = _Arrays(context, builder, signature, arguments)
        product = builder.sitofp(arrays.integers(0, at), FLOATS)
        power = power_of_two(builder, fused(builder, spread(builder, slope), product, arrays.scalar(3, unit)))
        mean = builder.fdiv(arrays.floats(5, first), builder.fadd(power, constant(FLOATS, 1.0)))
        how = constant(INTS, 0), ir.Constant(_SHORT, -1), INT(4)
        arrays.store(7, first, call(builder, "llvm.x86.avx512.mask.cvtps2dq.512", INTS, mean, *how))
        return context.get_dummy_value()

    return signature, generate


weighted_means: Any = intrinsic(_weighted_means)


def weigher(both: bool) -> Any:
    """What weighs some hidden units at one temperature, or at both ends of a step."""

    @intrinsic
    def weigh(typingctx, products, at, stride, count, slopes, starts, ends, unit, linear, above, below, first):  # type: ignore[no-untyped-def]  # noqa: ARG001
        """Parts of ln f of sixteen chains c, over the `count` units from `unit` on, with products at `at`.

        linear.flat[first + c] = Σ max(-t, 0), above.flat[first + c] = Π (1 + 2**-|t|), at the end; from the first is
        subtracted what it is at the start, and below is the second there.

        products : int16 or int32; slopes : (start, end); starts, ends : fields at both temperatures
        """
        arguments = products, at, stride, count, slopes, starts, ends, unit, linear, above, below, first
        signature = types.void(*arguments)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            at, stride, count, slopes, unit, first = (arguments[k] for k in (1, 2, 3, 4, 7, 11))
            arrays = _Arrays(context, builder, signature, arguments)
            temperatures = {1: 6, 0: 5} if both else {1: 6}
            spreads = {which: spread(builder, builder.extract_value(slopes, which)) for which in temperatures}
            sums = cgutils.alloca_once_value(builder, constant(FLOATS, 0.0))  # type: ignore[no-untyped-call]
            one = constant(FLOATS, 1.0)
            factors = {which: cgutils.alloca_once_value(builder, one) for which in temperatures}  # type: ignore[no-untyped-call]
            with cgutils.for_range(builder, count) as loop:
                product = arrays.integers(0, builder.add(at, builder.mul(stride, loop.index)))
                product = builder.sitofp(product, FLOATS)
                for which, fields in temperatures.items():
                    field = arrays.scalar(fields, builder.add(unit, loop.index))
                    t = fused(builder, spreads[which], product, field)
                    negative = minimum(builder, t, constant(FLOATS, 0.0))
                    change = builder.fsub if which else builder.fadd
                    builder.store(change(builder.load(sums), negative), sums)
                    smaller = minimum(builder, t, builder.fsub(constant(FLOATS, -0.0), t))
                    factor = builder.load(factors[which])
                    builder.store(fused(builder, factor, power_of_two(builder, smaller), factor), factors[which])
            arrays.store(8, first, builder.load(sums))
            for which, target in zip(temperatures, (9, 10), strict=False):
                arrays.store(target, first, builder.load(factors[which]))
            return context.get_dummy_value()

        return signature, generate

    return weigh
