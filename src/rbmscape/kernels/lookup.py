r"""Products of binary states with integer weights by table lookup inside vector registers.

A state of zeros and ones needs no multiplication: the sum ``Σ_k q_k v_k`` over six units is one of 64 values, so that
six weights make a table and six bits an index into it (the method of the four Russians: Arlazarov, Dinic, Kronrod and
Faradzhev 1970).  AVX-512 holds a table of 64 16-bit integers in two registers and looks up 32 chains with one
instruction (``vpermi2w``), which stands for 192 multiplications and additions; bf16 dot products do 32 in their place.
The table is built in registers as well, six additions under a mask, so that nothing but weights and indices is read.

Sums are exact: 16-bit additions wrap, and wrapping is harmless where the final sum fits (`rbmscape.kernels.fixed_point`
sees to that).  They depend on no order, no thread and no neighbour.

Layouts, in memory order:

- indices (n_groups, n_chains) uint16: bit k of entry (g, c) is the state of unit 6 g + k of chain c; chains are padded
  to a multiple of 32;
- weights (n_units, 6 n_groups) int32: each 16-bit integer twice, so that one 32-bit broadcast fills a register; rows
  are padded to an even number of units, columns to whole groups, with zeros;
- products (n_units, stride) int16, chains last.

Numba cannot express the lookup, therefore `_tile` writes its LLVM code: a tile of two units and 32 to 256 chains, whose
sums stay in registers while the loop runs over the groups.
"""

from __future__ import annotations

from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["GROUP", "LANES", "TILE", "products"]

GROUP = 6
"""Units in a table's index."""
LANES = 32
"""Chains in a register."""
TILE = 256
"""Chains in the largest tile."""
_UNITS = 2
_DEPTH = 32  # groups whose indices, 16 KiB for a tile, stay in the first cache while many units use them
_BIT, _SHORT, _INT, _LONG = (ir.IntType(bits) for bits in (1, 16, 32, 64))
_SHORTS, _INTS = ir.VectorType(_SHORT, 32), ir.VectorType(_INT, 16)


def _table(builder: Any, weights: Any, offset: Any) -> tuple[Any, Any]:
    """Both registers of one table: entry e of the first is Σ_{k<5} q_k e_k, the second adds q_5."""
    table = ir.Constant(_SHORTS, None)
    for bit in range(GROUP):
        pair = builder.load(builder.gep(weights, [builder.add(offset, _LONG(bit))], source_etype=_INT), typ=_INT)
        undefined = ir.Constant(_INTS, ir.Undefined)
        spread = builder.shuffle_vector(
            builder.insert_element(undefined, pair, _INT(0)), undefined, ir.Constant(_INTS, [0] * 16)
        )
        added = builder.add(table, builder.bitcast(spread, _SHORTS))
        if bit < GROUP - 1:
            mask = ir.Constant(ir.VectorType(_BIT, LANES), [entry >> bit & 1 for entry in range(LANES)])
            table = builder.select(mask, added, table)
    return table, added


def _tile(n_vectors: int) -> Any:
    """The tile of two units and 32 n_vectors chains as a function that Numba compiles into its callers.

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
            lookup = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
                builder.module, ir.FunctionType(_SHORTS, [_SHORTS] * 3), "llvm.x86.avx512.vpermi2var.hi.512"
            )
            places = [(unit, vector) for unit in range(_UNITS) for vector in range(n_vectors)]
            sums = {place: cgutils.alloca_once(builder, _SHORTS) for place in places}  # type: ignore[no-untyped-call]

            def vector_at(array: Any, offset: Any) -> Any:
                return builder.bitcast(builder.gep(array, [offset], source_etype=_SHORT), _SHORTS.as_pointer())

            def product_at(unit: int, vector: int) -> Any:
                row = builder.add(out_at, builder.mul(out_row, _LONG(unit)))
                return vector_at(products, builder.add(row, _LONG(LANES * vector)))

            with builder.if_else(fresh) as (overwrite, add):
                with overwrite:
                    for place in places:
                        builder.store(ir.Constant(_SHORTS, None), sums[place])
                with add:
                    for place in places:
                        builder.store(builder.load(product_at(*place), align=2, typ=_SHORTS), sums[place])
            with cgutils.for_range(builder, n_groups) as loop:
                first = builder.add(w_at, builder.mul(loop.index, _LONG(GROUP)))
                tables = [
                    _table(builder, weights, builder.add(first, builder.mul(w_row, _LONG(unit))))
                    for unit in range(_UNITS)
                ]
                row = builder.add(idx_at, builder.mul(loop.index, idx_row))
                for vector in range(n_vectors):
                    at = vector_at(indices, builder.add(row, _LONG(LANES * vector)))
                    index = builder.load(at, align=2, typ=_SHORTS)
                    for unit, (low, high) in enumerate(tables):
                        found = builder.call(lookup, [low, index, high])
                        total = builder.add(builder.load(sums[unit, vector]), found)
                        builder.store(total, sums[unit, vector])
            for place in places:
                builder.store(builder.load(sums[place]), product_at(*place), align=2)
            return context.get_dummy_value()

        return signature, generate

    return tile


_tile_8, _tile_4, _tile_2, _tile_1 = (_tile(n_vectors) for n_vectors in (8, 4, 2, 1))


@numba.njit(inline="always")
def products(idx, first_chain, n_chains, weights, first_unit, n_units, out):  # type: ignore[no-untyped-def]
    """out[u, c] = Σ_k q[first_unit + u, k] v[k, first_chain + c] for an even number of units and at most TILE chains.

    Parameters
    ----------
    idx : (n_groups, padded chains) uint16
    first_chain, n_chains : multiples of 32
    weights : (padded units, 6 n_groups) int32 pairs
    first_unit, n_units : even
    out : (at least n_units, TILE) int16
    """
    n_groups, row = idx.shape
    depth = weights.shape[1]
    for low in range(0, n_groups, _DEPTH):
        count = min(_DEPTH, n_groups - low)
        for unit in range(0, n_units, _UNITS):
            w_at = (first_unit + unit) * depth + low * GROUP
            i_at, o_at, fresh = low * row + first_chain, unit * TILE, low == 0
            if n_chains == TILE:
                _tile_8(idx, i_at, row, weights, w_at, depth, count, out, o_at, TILE, fresh)
            else:
                done = 0
                if n_chains & 128:
                    _tile_4(idx, i_at, row, weights, w_at, depth, count, out, o_at, TILE, fresh)
                    done = 128
                if n_chains & 64:
                    _tile_2(idx, i_at + done, row, weights, w_at, depth, count, out, o_at + done, TILE, fresh)
                    done += 64
                if n_chains & 32:
                    _tile_1(idx, i_at + done, row, weights, w_at, depth, count, out, o_at + done, TILE, fresh)
