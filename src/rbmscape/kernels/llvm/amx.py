"""A matrix unit that multiplies tiles of bytes (Intel's AMX), for Numba code: what it takes, and its instructions.

Numba cannot express them, therefore the functions here write LLVM's code.  A tile is 16 rows of 64 bytes; one
instruction multiplies a tile of sixteen units by 64 with a tile of 64 units by sixteen chains, 16 384 products in
sixteen cycles, and adds them to 32-bit sums.  There are eight tile registers, which a thread configures with `begin`
and gives back with `end`.
"""

from __future__ import annotations

import ctypes
import functools
import platform
import sys
from dataclasses import dataclass
from typing import Any, Final

import numba
import torch
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from rbmscape.kernels.llvm.units import LANES

__all__ = ["DEPTH", "KILOBYTE", "UNITS", "begin", "end", "has_tiles", "multiplier", "splitter", "store_block"]

UNITS: Final = 16
"""Rows of a tile."""
DEPTH: Final = 64
"""Bytes of a row."""
KILOBYTE: Final = UNITS * DEPTH
_BYTE, _INT, _LONG = (ir.IntType(bits) for bits in (8, 32, 64))
_POINTER, _INTS = _BYTE.as_pointer(), ir.VectorType(ir.IntType(32), LANES)
_PALETTE = bytes([1] + [0] * 15 + [DEPTH, 0] * 8 + [0] * 16 + [UNITS] * 8 + [0] * 8)
"""Eight tiles of sixteen rows of 64 bytes."""
_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA = 158, 0x1023, 18
_NEEDED = ("amx-tile", "amx-int8", "avx512f", "avx512bw")


@functools.cache
def _permission() -> bool:
    """Whether the kernel lets this process use the tiles' registers, for which it must be asked once."""
    return int(ctypes.CDLL(None).syscall(_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA)) == 0


def has_tiles() -> bool:
    """Whether processor, system and compiler multiply tiles of bytes."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return False
    if not torch.cpu.get_capabilities().get("amx_int8", False):
        return False
    if numba.config.CPU_NAME is not None or numba.config.CPU_FEATURES is not None:  # type: ignore[attr-defined]
        return False
    features = binding.get_host_cpu_features()
    if not all(features.get(name, False) for name in _NEEDED):
        return False
    return _permission()


def _instruction(builder: Any, name: str, *arguments: Any) -> None:
    kind = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.{name}")  # type: ignore[no-untyped-call]
    builder.call(function, arguments)


def _begin(typingctx):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Configure this thread's tile registers."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        palette = ir.Constant(ir.ArrayType(_BYTE, len(_PALETTE)), bytearray(_PALETTE))
        place = cgutils.global_constant(builder, "tile_palette", palette)  # type: ignore[no-untyped-call]
        _instruction(builder, "ldtilecfg", builder.bitcast(place, _POINTER))
        return context.get_dummy_value()

    return types.void(), generate


def _end(typingctx):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Give the tile registers back."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        _instruction(builder, "tilerelease")
        return context.get_dummy_value()

    return types.void(), generate


begin: Any = intrinsic(_begin)
end: Any = intrinsic(_end)


@dataclass(frozen=True)
class _Plan:
    """Which of the eight tile registers hold what."""

    n_bytes: int
    n_spans: int

    @property
    def sums(self) -> list[list[int]]:
        """Of each byte and span."""
        return [[self.n_spans * byte + span for span in range(self.n_spans)] for byte in range(self.n_bytes)]

    @property
    def weights(self) -> list[int]:
        """Of each byte."""
        return [self.n_bytes * self.n_spans + byte for byte in range(self.n_bytes)]

    @property
    def spans(self) -> list[int]:
        """Of each span."""
        return [self.n_bytes * (self.n_spans + 1) + span for span in range(self.n_spans)]


def _at(builder: Any, start: Any, *offsets: Any) -> Any:
    """A place some bytes behind another."""
    return builder.gep(start, [functools.reduce(builder.add, offsets)], source_etype=_BYTE)


def _accumulate(builder: Any, plan: _Plan, weights: Any, spans: list[Any], steps: Any) -> None:
    """Sums of both factors, which begin at these places, over all steps."""
    row = _LONG(DEPTH)
    for number in (number for line in plan.sums for number in line):
        _instruction(builder, "tilezero", _BYTE(number))
    with cgutils.for_range(builder, steps) as loop:
        step = builder.mul(loop.index, _LONG(KILOBYTE))
        first = builder.mul(step, _LONG(plan.n_bytes))
        for place, number in zip(spans, plan.spans, strict=True):
            _instruction(builder, "tileloadd64", _BYTE(number), _at(builder, place, step), row)
        for byte, number in enumerate(plan.weights):
            place = _at(builder, weights, first, _LONG(KILOBYTE * byte))
            _instruction(builder, "tileloadd64", _BYTE(number), place, row)
            product = "tdpbsud" if byte == 0 else "tdpbuud"
            for target, source in zip(plan.sums[byte], plan.spans, strict=True):
                _instruction(builder, product, _BYTE(target), _BYTE(number), _BYTE(source))


def _combine(builder: Any, plan: _Plan, out: Any, out_row: Any) -> None:
    """Put the sums of all bytes together, and store them in rows that are so many bytes apart."""
    row = _LONG(DEPTH)
    vectors = cgutils.alloca_once(builder, _INTS, size=plan.n_bytes * plan.n_spans * UNITS)  # type: ignore[no-untyped-call]
    scratch = builder.bitcast(vectors, _POINTER)
    for number in (number for line in plan.sums for number in line):
        _instruction(builder, "tilestored64", _BYTE(number), _at(builder, scratch, _LONG(KILOBYTE * number)), row)
    with cgutils.for_range(builder, _LONG(UNITS)) as loop:
        source, target = builder.mul(loop.index, row), builder.mul(loop.index, out_row)
        for span in range(plan.n_spans):
            total = ir.Constant(_INTS, None)
            for byte in range(plan.n_bytes):
                place = _at(builder, scratch, source, _LONG(KILOBYTE * plan.sums[byte][span]))
                one = builder.load(builder.bitcast(place, _INTS.as_pointer()), align=64, typ=_INTS)
                total = builder.add(builder.shl(total, ir.Constant(_INTS, [8] * LANES)), one)
            place = _at(builder, out, target, _LONG(4 * LANES * span))
            builder.store(total, builder.bitcast(place, _INTS.as_pointer()), align=4)


def multiplier(n_bytes: int, n_spans: int) -> Any:
    """The product of sixteen units, whose integers have `n_bytes`, and `n_spans` spans of chains, for Numba code."""
    plan = _Plan(n_bytes, n_spans)

    @intrinsic
    def multiply(typingctx, weights, weights_at, states, states_at, length, steps, out, out_at, out_row):  # type: ignore[no-untyped-def]  # noqa: ARG001
        """out.flat[out_at + out_row u + c] = Σ_k w[u, k] v[k, c].

        weights : (…, steps, bytes, 16, 64) uint8 with the upper byte first; states : (…, 16 steps, 16) uint32;
        places of both and length of a span are in bytes; out : int32, its place and row in elements
        """
        signature = types.void(weights, weights_at, states, states_at, length, steps, out, out_at, out_row)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            weights, states, out = (
                builder.bitcast(context.make_array(signature.args[k])(context, builder, arguments[k]).data, _POINTER)
                for k in (0, 2, 6)
            )
            weights_at, states_at, length, steps, out_at, out_row = (arguments[k] for k in (1, 3, 4, 5, 7, 8))
            spans = [_at(builder, states, states_at, builder.mul(length, _LONG(span))) for span in range(n_spans)]
            _accumulate(builder, plan, _at(builder, weights, weights_at), spans, steps)
            four = _LONG(4)
            _combine(builder, plan, _at(builder, out, builder.mul(out_at, four)), builder.mul(out_row, four))
            return context.get_dummy_value()

        return signature, generate

    return multiply


def _split_bytes(builder: Any, n_bytes: int, values: Any, out: Any, at: Any) -> None:
    """Bytes of sixteen integers, the upper first, to the tiles that begin at a place and a kilobyte apart."""
    narrow = ir.VectorType(_BYTE, LANES)
    for byte in range(n_bytes):
        shift = ir.Constant(_INTS, [8 * (n_bytes - 1 - byte)] * LANES)
        place = builder.gep(out, [builder.add(at, _LONG(KILOBYTE * byte))], source_etype=_BYTE)
        one = builder.trunc(builder.lshr(values, shift), narrow)
        builder.store(one, builder.bitcast(place, narrow.as_pointer()), align=1)


def splitter(n_bytes: int) -> Any:
    """What writes sixteen integers into the tiles of their bytes, for Numba code."""

    @intrinsic
    def split(typingctx, integers, first, out, at):  # type: ignore[no-untyped-def]  # noqa: ARG001
        """out.flat[at + 1024 b + c] = byte b, the upper first, of integers[first + c], c < 16."""
        signature = types.void(integers, first, out, at)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            integers, out = (context.make_array(signature.args[k])(context, builder, arguments[k]).data for k in (0, 2))
            source = builder.bitcast(builder.gep(integers, [arguments[1]], source_etype=_INT), _INTS.as_pointer())
            _split_bytes(builder, n_bytes, builder.load(source, align=4, typ=_INTS), out, arguments[3])
            return context.get_dummy_value()

        return signature, generate

    return split


def _transposed(builder: Any, rows: list[Any]) -> list[Any]:
    """Sixteen registers of sixteen lanes, transposed by exchanging ever larger blocks."""
    for size in (1, 2, 4, 8):
        first = [lane if not lane & size else LANES + lane - size for lane in range(LANES)]
        second = [lane + size if not lane & size else LANES + lane for lane in range(LANES)]
        masks = [ir.Constant(_INTS, indices) for indices in (first, second)]
        turned = list(rows)
        for k in range(LANES):
            if not k & size:
                pair = rows[k], rows[k + size]
                turned[k], turned[k + size] = (builder.shuffle_vector(*pair, mask) for mask in masks)
        rows = turned
    return rows


def _store_bytes(typingctx, integers, row, at, out, out_at):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Both bytes of integers.flat[at + row u + j], u and j < 16, to out.flat[out_at + 1024 byte + 64 j + u]."""
    signature = types.void(integers, row, at, out, out_at)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        integers, out = (context.make_array(signature.args[k])(context, builder, arguments[k]).data for k in (0, 3))
        row, at, out_at = (arguments[k] for k in (1, 2, 4))
        rows = []
        for u in range(UNITS):
            place = builder.gep(integers, [builder.add(at, builder.mul(row, _LONG(u)))], source_etype=_INT)
            rows.append(builder.load(builder.bitcast(place, _INTS.as_pointer()), align=4, typ=_INTS))
        for j, column in enumerate(_transposed(builder, rows)):
            _split_bytes(builder, 2, column, out, builder.add(out_at, _LONG(DEPTH * j)))
        return context.get_dummy_value()

    return signature, generate


store_block: Any = intrinsic(_store_bytes)
