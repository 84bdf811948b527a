"""Every annealer weighs and moves like the plain-torch reference, and its integer products are exact."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rbmscape.kernels.floats.annealing import ByteAnnealer, FloatAnnealer, ReferenceAnnealer, annealer_for
from rbmscape.kernels.integers.amx_product import TILES
from rbmscape.kernels.integers.annealing import FixedAnnealer
from rbmscape.kernels.integers.avx512_product import TABLES
from rbmscape.kernels.llvm.amx import has_tiles
from rbmscape.kernels.select import has_table_lookup, select_engine
from rbmscape.model.rbm import RBM
from rbmscape.rng import Stream

SHAPES = [(5, 3), (64, 70), (300, 260)]  # below one group of four, across a run of 64, across a block of 256
STREAM = Stream(11, "test")
FIXED = [FixedAnnealer(one) for one in ([TABLES] if has_table_lookup() else []) + ([TILES] if has_tiles() else [])]
ANNEALERS = [FloatAnnealer(), ByteAnnealer(), *FIXED]


def path_ends(n_visible, n_hidden, strength=0.3):
    generator = np.random.default_rng(n_visible)
    weights = generator.normal(scale=strength, size=(n_visible, n_hidden))
    biases = [generator.normal(size=n) for n in (n_visible, n_hidden, n_visible, n_hidden)]
    return tuple(torch.from_numpy(array.astype(np.float32)) for array in (weights, *biases))


def walked(annealer, ends, n_chains=24, first_chain=0):
    """Log weights and states after a few steps from fixed states."""
    n_visible, n_hidden = ends[0].shape
    v = (STREAM.uniform(0, n_chains, n_visible, first_chain) < 0.4).to(torch.uint8)
    params = annealer.prepare(*ends)
    workspace = annealer.workspace(n_chains, n_visible, n_hidden)
    annealer.load(params, workspace, v)
    log_weights = torch.zeros(n_chains, dtype=torch.float64)
    for step, (start, end) in enumerate([(0.0, 0.2), (0.2, 0.6), (0.6, 1.0)]):
        annealer.step(params, workspace, log_weights, start, end, STREAM, 2 * step + 1, first_chain)
    annealer.weigh(params, workspace, log_weights, 1.0, 0.9)
    return log_weights, workspace.v.to(torch.uint8), workspace.h.to(torch.uint8)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("annealer", ANNEALERS, ids=lambda one: one.name)
def test_agrees_with_the_reference(annealer, shape):
    ends = path_ends(*shape)
    params = annealer.prepare(*ends)
    expected = walked(ReferenceAnnealer(), (params.weights, *ends[1:]))
    found = walked(annealer, ends)
    for states, reference in zip(found[1:], expected[1:], strict=True):
        assert torch.equal(states, reference)
    torch.testing.assert_close(found[0], expected[0], rtol=0, atol=2e-4)


def test_increment_is_the_ratio_of_the_two_densities():
    weights, a, b, a0, b0 = (tensor.to(torch.float64) for tensor in path_ends(7, 4, 2.0))
    annealer = ReferenceAnnealer()
    params = annealer.prepare(weights, a, b, a0, b0)
    workspace = annealer.workspace(9, 7, 4)
    v = (STREAM.uniform(0, 9, 7) < 0.5).to(torch.float64)
    annealer.load(params, workspace, v)
    found = torch.zeros(9, dtype=torch.float64)
    annealer.weigh(params, workspace, found, 0.3, 0.8)
    hidden = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 4)

    def log_density(t):
        field = v @ weights * t + (1 - t) * b0 + t * b
        return v @ ((1 - t) * a0 + t * a) + torch.logsumexp(field @ hidden.T, 1)

    torch.testing.assert_close(found, log_density(0.8) - log_density(0.3), rtol=0, atol=1e-12)


def test_integer_products_are_exact():
    annealer = ByteAnnealer()
    weights = path_ends(400, 33, 5.0)[0]
    zero = torch.zeros
    params = annealer.prepare(weights, zero(400), zero(33), zero(400), zero(33))
    assert (params.weights - weights).abs().max() <= 0.5001 * params.scale
    assert params.scale == pytest.approx(float(weights.abs().max()) / 32384, rel=1e-6)
    workspace = annealer.workspace(50, 400, 33)
    v = (STREAM.uniform(3, 50, 400) < 0.5).to(torch.int8)
    annealer._multiply(v, params.to_hidden, workspace.pre_hidden)
    high, low = workspace.pre_hidden.to(torch.float64).chunk(2, dim=1)
    exact = v.to(torch.float64) @ params.weights
    torch.testing.assert_close(params.scale * (254 * high + low), exact, rtol=0, atol=1e-9)


@pytest.mark.parametrize("annealer", ANNEALERS, ids=lambda one: one.name)
def test_chains_do_not_depend_on_how_they_are_split(annealer):
    ends = path_ends(70, 40)
    whole = walked(annealer, ends, 12)
    part = walked(annealer, ends, 5, first_chain=7)
    for all_chains, last_chains in zip(whole, part, strict=True):
        torch.testing.assert_close(all_chains[7:], last_chains, rtol=0, atol=1e-5)


def test_saturated_units_give_finite_weights():
    weights, *biases = path_ends(40, 30, 0.1)
    ends = (weights, *(1000.0 * bias for bias in biases))
    for annealer in ANNEALERS:
        expected = walked(ReferenceAnnealer(), (annealer.prepare(*ends).weights, *ends[1:]))
        found = walked(annealer, ends)
        torch.testing.assert_close(found[0], expected[0], rtol=1e-6, atol=0)


def test_all_zero_weights():
    ends = (torch.zeros(6, 5), *path_ends(6, 5)[1:])
    for annealer in ANNEALERS:
        torch.testing.assert_close(walked(annealer, ends)[0], walked(ReferenceAnnealer(), ends)[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("annealer", FIXED, ids=lambda one: one.name)
def test_threads_change_no_weight_of_the_integers(annealer):
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(walked(annealer, path_ends(300, 260), n_chains=70))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(one, two) for one, two in zip(found[0], other, strict=True))


@pytest.mark.skipif(len(FIXED) < 2, reason="needs a processor with AVX-512 and tiles of bytes (AMX)")
def test_tables_and_tiles_draw_the_same_and_weigh_alike():
    one, other = (walked(annealer, path_ends(300, 260), n_chains=70) for annealer in FIXED)
    assert torch.equal(one[1], other[1])
    assert torch.equal(one[2], other[2])
    torch.testing.assert_close(one[0], other[0], rtol=0, atol=1e-4)


def test_which_annealer_goes_with_which_engine():
    if has_table_lookup():
        assert isinstance(annealer_for(select_engine("cpu")), FixedAnnealer)
    assert isinstance(annealer_for(select_engine("cpu", "fp32")), FloatAnnealer)
    assert isinstance(annealer_for(select_engine("reference", "fp64")), ReferenceAnnealer)
    assert annealer_for(select_engine("reference", "fp64")).dtype == torch.float64


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("annealer", [ReferenceAnnealer(), *ANNEALERS], ids=lambda one: one.name)
def test_a_move_is_the_step_at_the_end_of_the_path(annealer, shape):
    params, v = annealer.prepare(*path_ends(*shape)), (STREAM.uniform(3, 40, shape[0]) < 0.4).to(torch.uint8)
    moved, stepped = (annealer.workspace(40, *shape) for _ in range(2))
    for workspace in (moved, stepped):
        annealer.load(params, workspace, v)
    for draw in (0, 2):
        annealer.move(params, moved, STREAM, draw)
        annealer.step(params, stepped, torch.zeros(40, dtype=torch.float64), 1.0, 1.0, STREAM, draw)
    assert torch.equal(moved.v, stepped.v)
    assert torch.equal(moved.h, stepped.h)
    assert not torch.equal(moved.v.to(torch.uint8), v), "nothing moved"


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("annealer", [ReferenceAnnealer(), *ANNEALERS], ids=lambda one: one.name)
def test_log_density_of_states_loaded_for_another_path(annealer, shape):
    ends, other = path_ends(*shape), path_ends(*shape, strength=1.0)
    params, foreign = annealer.prepare(*ends), annealer.prepare(*other)
    workspace = annealer.workspace(40, *shape)
    v = (STREAM.uniform(4, 40, shape[0]) < 0.4).to(torch.uint8)
    annealer.load(foreign, workspace, v)
    found = annealer.log_density(params, workspace)
    expected = -RBM(params.weights, ends[1].double(), ends[2].double()).free_energy(v.double())
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-4)
    again = annealer.log_density(params, workspace)
    assert torch.equal(found, again), "a look changed the states"


@pytest.mark.parametrize("annealer", [ReferenceAnnealer(), *ANNEALERS], ids=lambda one: one.name)
def test_marked_chains_are_exchanged(annealer):
    shape, params = (64, 70), annealer.prepare(*path_ends(64, 70))
    states = [(STREAM.uniform(draw, 40, 64) < 0.4).to(torch.uint8) for draw in (5, 6)]
    pair = [annealer.workspace(40, *shape) for _ in states]
    for workspace, v in zip(pair, states, strict=True):
        annealer.load(params, workspace, v)
    swap = STREAM.uniform(7, 40, 1)[:, 0] < 0.5
    annealer.exchange(*pair, swap)
    for workspace, stay, come in zip(pair, states, reversed(states), strict=True):
        assert torch.equal(workspace.v.to(torch.uint8), torch.where(swap[:, None], come, stay))
