r"""Products of binary states with weights by table lookup inside vector registers.

A state of zeros and ones needs no multiplication: the sum ``Σ_k w_k v_k`` over six units is one of 64 values, so that
six weights make a table and six bits an index into it (the method of the four Russians: Arlazarov, Dinic, Kronrod and
Faradzhev 1970).  AVX-512 holds a table of 64 16-bit integers in two registers and looks up 32 chains with one
instruction (``vpermi2w``), which stands for 192 multiplications and additions; bf16 dot products do 32 in their place.
With 32-bit integers a table has 32 values, five units, and an instruction (``vpermi2d``) serves 16 chains: 80
multiplications and additions, where a fused one of float32 does 16.  The table is built in registers as well, one
addition a unit under a mask, so that nothing but weights and indices is read.

Sums are exact: additions wrap, and wrapping is harmless where the final sum fits (`rbmscape.kernels.rounding` sees
to that).  They depend on no order, no thread and no neighbour.

Layouts, in memory order, for the formats ``SHORT`` (6 units, 32 lanes) and ``INT`` (5 units, 16 lanes):

- indices (n_groups, n_chains), uint16 or int32: bit k of entry (g, c) is the state of unit 6 g + k (5 g + k) of chain
  c; chains are padded to whole registers;
- weights (n_units, units of the groups) int32, 16-bit integers twice, so that one 32-bit broadcast fills a register;
  rows are padded to an even number, columns to whole groups, with zeros;
- products (n_units, stride) int16 or int32, chains last.

Numba cannot express the lookup, therefore `_tile` writes its LLVM code: a tile of two units and up to eight registers
of chains, whose sums stay in registers while the loop runs over the groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["INT", "SHORT", "Format", "int_products", "short_products"]

_UNITS = 2
_DEPTH = 32  # groups whose indices, 16 KiB for a tile, stay in the first cache while many units use them
_BIT, _INT, _LONG = (ir.IntType(bits) for bits in (1, 32, 64))


@dataclass(frozen=True, slots=True)
class Format:
    """A number format of the sums.

    Attributes
    ----------
    group : units in a table's index
    lanes : chains in a register
    element : LLVM type of a sum
    lookup : LLVM intrinsic (low table, index, high table)
    """

    group: int
    lanes: int
    element: Any
    lookup: str

    @property
    def tile(self) -> int:
        """Chains in the largest tile."""
        return 8 * self.lanes

    @property
    def register(self) -> Any:
        """LLVM type of a register of sums."""
        return ir.VectorType(self.element, self.lanes)


SHORT = Format(6, 32, ir.IntType(16), "llvm.x86.avx512.vpermi2var.hi.512")
INT = Format(5, 16, _INT, "llvm.x86.avx512.vpermi2var.d.512")


def _table(builder: Any, kind: Format, weights: Any, offset: Any) -> tuple[Any, Any]:
    """Both registers of one table: entry e of the first is the sum of w_k e_k but for the last weight, which the
    second adds.
    """
    undefined = ir.Constant(ir.VectorType(_INT, 16), ir.Undefined)
    table = ir.Constant(kind.register, None)
    for bit in range(kind.group):
        place = builder.gep(weights, [builder.add(offset, _LONG(bit))], source_etype=_INT)
        first = builder.insert_element(undefined, builder.load(place, typ=_INT), _INT(0))
        spread = builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_INT, 16), [0] * 16))
        added = builder.add(table, builder.bitcast(spread, kind.register))
        if bit < kind.group - 1:
            entries = [entry >> bit & 1 for entry in range(kind.lanes)]
            table = builder.select(ir.Constant(ir.VectorType(_BIT, kind.lanes), entries), added, table)
    return table, added


def _tile(kind: Format, n_vectors: int) -> Any:
    """The tile of two units and n_vectors registers of chains as a function that Numba compiles into its callers.

    Its arguments: indices; offset of the first; their row length; weights; offset of the first; their row length;
    number of groups; products; offset of the first; their row length; whether to overwrite them, else they are added
    to.  Offsets and lengths are in elements.
    """

    @intrinsic
    def tile(typingctx, idx, idx_at, idx_row, w, w_at, w_row, n_groups, out, out_at, out_row, fresh):  # type: ignore[no-untyped-def]  # noqa: ARG001
        signature = types.void(idx, idx_at, idx_row, w, w_at, w_row, n_groups, out, out_at, out_row, fresh)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            idx_at, idx_row, w_at, w_row, n_groups, out_at, out_row, fresh = (
                arguments[k] for k in (1, 2, 4, 5, 6, 8, 9, 10)
            )
            indices, weights, products = (
                context.make_array(signature.args[k])(context, builder, arguments[k]).data for k in (0, 3, 7)
            )
            register = kind.register
            lookup = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
                builder.module, ir.FunctionType(register, [register] * 3), kind.lookup
            )
            places = [(unit, vector) for unit in range(_UNITS) for vector in range(n_vectors)]
            sums = {place: cgutils.alloca_once(builder, register) for place in places}  # type: ignore[no-untyped-call]

            def vector_at(array: Any, offset: Any) -> Any:
                return builder.bitcast(builder.gep(array, [offset], source_etype=kind.element), register.as_pointer())

            def product_at(unit: int, vector: int) -> Any:
                row = builder.add(out_at, builder.mul(out_row, _LONG(unit)))
                return vector_at(products, builder.add(row, _LONG(kind.lanes * vector)))

            with builder.if_else(fresh) as (overwrite, accumulate):
                with overwrite:
                    for place in places:
                        builder.store(ir.Constant(register, None), sums[place])
                with accumulate:
                    for place in places:
                        builder.store(builder.load(product_at(*place), align=2, typ=register), sums[place])
            with cgutils.for_range(builder, n_groups) as loop:
                first = builder.add(w_at, builder.mul(loop.index, _LONG(kind.group)))
                tables = [
                    _table(builder, kind, weights, builder.add(first, builder.mul(w_row, _LONG(unit))))
                    for unit in range(_UNITS)
                ]
                row = builder.add(idx_at, builder.mul(loop.index, idx_row))
                for vector in range(n_vectors):
                    at = vector_at(indices, builder.add(row, _LONG(kind.lanes * vector)))
                    index = builder.load(at, align=2, typ=register)
                    for unit, (low, high) in enumerate(tables):
                        found = builder.call(lookup, [low, index, high])
                        builder.store(builder.add(builder.load(sums[unit, vector]), found), sums[unit, vector])
            for place in places:
                builder.store(builder.load(sums[place]), product_at(*place), align=2)
            return context.get_dummy_value()

        return signature, generate

    return tile


def _products(kind: Format) -> Any:
    """The function that multiplies in one number format, for Numba code."""
    whole, half, quarter, one = (_tile(kind, n_vectors) for n_vectors in (8, 4, 2, 1))
    group, lanes, tile = kind.group, kind.lanes, kind.tile

    @numba.njit(nogil=True, error_model="numpy")
    def multiply(idx, first_chain, n_chains, weights, first_unit, n_units, out, at, stride):  # type: ignore[no-untyped-def]
        """out.flat[at + stride u + c] = Σ_k w[first_unit + u, k] v[k, first_chain + c].

        Parameters
        ----------
        idx : (n_groups, padded chains)
        first_chain, n_chains : multiples of the register's lanes, n_chains at most a tile
        weights : (padded units, units of the groups)
        first_unit, n_units : even
        out, at, stride : array of the sums, place of the first, distance of units
        """
        n_groups, row = idx.shape
        depth = weights.shape[1]
        for low in range(0, n_groups, _DEPTH):
            count = min(_DEPTH, n_groups - low)
            for unit in range(0, n_units, _UNITS):
                w, i = (first_unit + unit) * depth + low * group, low * row + first_chain
                o, fresh = at + unit * stride, low == 0
                if n_chains == tile:
                    whole(idx, i, row, weights, w, depth, count, out, o, stride, fresh)
                else:
                    done = 0
                    if n_chains & (4 * lanes):
                        half(idx, i, row, weights, w, depth, count, out, o, stride, fresh)
                        done = 4 * lanes
                    if n_chains & (2 * lanes):
                        quarter(idx, i + done, row, weights, w, depth, count, out, o + done, stride, fresh)
                        done += 2 * lanes
                    if n_chains & lanes:
                        one(idx, i + done, row, weights, w, depth, count, out, o + done, stride, fresh)

    return multiply


short_products = _products(SHORT)
int_products = _products(INT)
