"""Weights as 16-bit integers: nothing overflows, rounding is as small as promised, and layouts hold what they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rbmscape.kernels import Parameters, select_engine
from rbmscape.kernels.integers import annealing_passes, passes
from rbmscape.kernels.integers.amx_product import TILES
from rbmscape.kernels.integers.avx512_product import TABLES
from rbmscape.kernels.integers.engine import IntegerEngine
from rbmscape.kernels.integers.parameters import IntegerParameters
from rbmscape.kernels.llvm.amx import has_tiles
from rbmscape.kernels.rounding import LARGEST, next_scale, round_to_fixed, scale_for
from rbmscape.kernels.select import has_table_lookup
from rbmscape.rng import Stream

NEEDS_TABLES = pytest.mark.skipif(not has_table_lookup(), reason="needs a processor with AVX-512")
PRODUCTS = pytest.mark.parametrize(
    "products",
    [
        pytest.param(TABLES, marks=NEEDS_TABLES),
        pytest.param(TILES, marks=pytest.mark.skipif(not has_tiles(), reason="needs tiles of bytes (AMX)")),
    ],
    ids=lambda one: one.name,
)


def gaussian(n_visible, n_hidden, std=0.3, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(0, std, (n_visible, n_hidden)).astype(np.float32))


def unbiased(weights):
    return Parameters(weights, *(torch.zeros(n) for n in weights.shape))


def one_signed_sums(integers):
    return [
        part.sum(axis).max().item() for part in (integers.clamp(min=0), (-integers).clamp(min=0)) for axis in (0, 1)
    ]


@given(
    n_visible=st.integers(1, 300),
    n_hidden=st.integers(1, 40),
    std=st.sampled_from([1e-30, 1e-3, 0.3, 50.0, 1e30]),
    skew=st.floats(-3, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_sum_of_a_part_of_a_row_or_column_overflows(n_visible, n_hidden, std, skew, seed):
    weights = gaussian(n_visible, n_hidden, 1.0, seed).add(skew).mul(std)
    integers, scale = round_to_fixed(weights)
    assert max(one_signed_sums(integers)) <= LARGEST
    assert max(one_signed_sums(integers)) > 0.8 * LARGEST  # and the range is used
    assert float((scale * integers - weights.double()).abs().max()) <= 0.5 * scale * (1 + 1e-12)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0])
def test_weights_that_give_no_scale_become_zero(value):
    integers, scale = round_to_fixed(torch.full((3, 2), value))
    assert scale == 1.0
    assert not integers.any()


@PRODUCTS
def test_weights_that_are_not_normal_numbers_are_rounded_as_defined(products):
    """The factor of the first integers is then beyond float32."""
    weights = torch.tensor([[1e-42, -3e-42, 0.0], [2e-41, 5e-45, -1e-41]])
    integers, scale = round_to_fixed(weights)
    params = IntegerParameters.of(products, unbiased(weights))
    assert params.scale == scale
    assert np.array_equal(products.integers(params.to_visible)[:2, :3], integers.numpy())


@given(st.floats(1e-20, 1e20))
def test_scales_have_four_significant_bits_and_increase(bound):
    scale = scale_for(round(2**20 * 1.0), 2**20 / bound, 100)
    assert math.frexp(scale)[0] * 16 == round(math.frexp(scale)[0] * 16)
    assert bound / LARGEST <= scale <= 1.2 * bound / LARGEST
    larger = next_scale(scale)
    assert scale < larger <= scale * 1.125
    assert math.frexp(larger)[0] * 16 == round(math.frexp(larger)[0] * 16)


@PRODUCTS
@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (784, 33), (100, 257), (33, 1000)])
@pytest.mark.parametrize("threads", [1, 2])
def test_fast_rounding_is_the_definition(shape, threads, products):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        weights = gaussian(*shape, seed=7)
        params = IntegerParameters.of(products, unbiased(weights))
    finally:
        torch.set_num_threads(before)
    integers, scale = round_to_fixed(weights)
    assert params.scale == scale
    for layout, expected in ((params.to_visible, integers), (params.to_hidden, integers.T)):
        found = products.integers(layout)
        rows, columns = expected.shape
        assert np.array_equal(found[:rows, :columns], expected.numpy())
        assert not found[rows:].any()
        assert not found[:, columns:].any()


@NEEDS_TABLES
def test_tables_hold_every_integer_twice():
    shape = 100, 257
    params = IntegerParameters.of(TABLES, unbiased(gaussian(*shape)))
    assert np.array_equal(params.to_visible.astype(np.int16), (params.to_visible >> 16).astype(np.int16))


@PRODUCTS
def test_sums_at_the_edge_of_the_range_are_right(products):
    """All units active, all weights of one sign: the sum is the bound itself and does not wrap."""
    n_visible, n_chains = 600, 40
    weights = torch.full((n_visible, 2), 0.25)
    weights[:, 1] = -0.25
    sampler = IntegerEngine(products=products).bind(unbiased(weights), n_chains)
    sampler.v.fill_(1)
    sampler.sample_hidden(Stream(0, "edge"), 0)
    assert torch.equal(sampler.h, torch.tensor([1, 0], dtype=torch.uint8).expand(n_chains, 2))


@PRODUCTS
@pytest.mark.parametrize("n_visible", [50, 52])
@pytest.mark.parametrize(("n_chains", "n_hidden"), [(700, 20), (2100, 7)])
def test_more_chains_than_a_tile_and_than_a_span(n_chains, n_hidden, n_visible, products):
    model = Parameters(gaussian(n_visible, n_hidden), torch.zeros(n_visible), torch.full((n_hidden,), -0.5))
    states = []
    for engine in (select_engine("reference", "fixed"), IntegerEngine(products=products)):
        sampler = engine.bind(model, n_chains)
        sampler.v.copy_(Stream(3, "start").uniform(0, n_chains, n_visible) < 0.5)
        sampler.sweep(Stream(3, "chains"), 0, 2)
        states.append((sampler.v.to(torch.uint8), sampler.h.to(torch.uint8)))
    assert torch.equal(states[0][0], states[1][0])
    assert torch.equal(states[0][1], states[1][1])


@PRODUCTS
def test_an_update_reuses_the_layouts(products):
    params = IntegerParameters.of(products, unbiased(gaussian(30, 20)))
    place = params.to_hidden
    params.renew(unbiased(gaussian(30, 20, seed=1)))
    fresh = IntegerParameters.of(products, unbiased(gaussian(30, 20, seed=1)))
    assert params.to_hidden is place
    assert np.array_equal(params.to_visible, fresh.to_visible)
    assert np.array_equal(params.to_hidden, fresh.to_hidden)
    assert params.scale == fresh.scale


@PRODUCTS
def test_a_pass_is_compiled_with_names_that_it_has(products):
    """Each constant stands under its own name, and each is a name of the modules that passes live in."""
    found = products.constants.named()
    assert found["TILE"] == products.tile
    assert found["BLOCK"] == products.block
    assert found["multiply"] is products.multiply
    assert found["draw_block"] is products.draw
    for module in (passes, annealing_passes):
        assert found.keys() <= vars(module).keys()
