"""Chains start where modes may be, every rung is judged, and states are held against their probability."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.kernels.select import select_engine
from rbmscape.model.exact import exact_log_partition, exact_samples
from rbmscape.rng import Stream
from rbmscape.sampling.diagnostics import local_r_hat, nested_r_hat
from rbmscape.sampling.ladder import choose_ladder, ladder_models
from rbmscape.sampling.missed import ladder_log_partition, missed_weight
from rbmscape.sampling.origins import favoured_states, from_elsewhere, spread_out
from rbmscape.sampling.rounded import MAX_SHIFT, faithful_annealer, rounding
from rbmscape.sampling.rungs import about_rungs, summary
from rbmscape.sampling.tempering import ONE_LOOK, temper, temper_until


@pytest.fixture(scope="module")
def machine():
    engine = select_engine()
    return engine, engine.annealer()


def needle(weight=0.1, n_visible=20, n_hidden=8, seed=3):
    """A broad background and one state of this weight, which six units detect together; the state."""
    generator = np.random.default_rng(seed)
    pattern = generator.random(n_visible) < 0.5
    weights = generator.normal(scale=0.2, size=(n_visible, n_hidden))
    weights[:, :6] = 3.0 * (2.0 * pattern - 1.0)[:, None]
    bias, state = np.zeros(n_hidden), torch.from_numpy(pattern.astype(np.uint8))[None]
    low, high = -10.0 * n_visible, 0.0
    for _ in range(50):
        bias[:6] = (low + high) / 2.0
        rbm = rs.RBM(weights, np.zeros(n_visible), bias)
        heavy = np.exp(-float(rbm.free_energy(state.double())[0]) - exact_log_partition(rbm)) > weight
        low, high = (low, bias[0]) if heavy else (bias[0], high)
    return rbm, state


def test_what_the_parameters_favour_holds_needles_and_modes():
    rbm, state = needle()
    assert bool((favoured_states(rbm) == state).all(1).any())
    weights = np.full((20, 8), 1.5)
    modes = favoured_states(rs.RBM(weights, -weights.sum(1) / 2, -weights.sum(0) / 2))
    assert {0.0, 1.0} <= set(modes.double().mean(1).tolist())


def test_small_clusters_are_among_states_far_from_each_other():
    """Two rows of 500; the control: the first 16 rows hold none."""
    rows = (torch.rand(500, 30, generator=torch.Generator().manual_seed(1)) < 0.05).to(torch.uint8)
    rows[[100, 400]] = 1
    assert int(spread_out(rows, 16).all(1).sum()) >= 1
    assert int(rows[:16].all(1).sum()) == 0


def test_every_origin_has_columns(machine):
    """Of 100 columns half start elsewhere, a fifth of these in given states, also in those that are rare."""
    rbm, state = needle()
    known = torch.zeros(200, 20, dtype=torch.uint8)
    known[7] = state[0]
    stream = Stream(1, "origins")
    ladder = choose_ladder(ladder_models(rbm, None), stream, machine[1])
    others = from_elsewhere(ladder, known, stream, machine[1]).others
    assert others is not None
    assert others.shape[0] == len(ladder.models)
    assert bool((others[-1, :50] == state).all(1).any())


def test_a_narrow_mode_that_samples_lack_is_an_objection(machine):
    """Samples without the needle of weight 0.1, or a ln Z without it; the negative control has both."""
    rbm, state = needle()
    log_z, stream = exact_log_partition(rbm), Stream(2, "missed")
    samples = exact_samples(rbm, 400, seed=5)[0].to(torch.uint8)
    without = samples[(samples != state).any(1)][:200]
    assert missed_weight(rbm, log_z, state, samples, stream, machine[1]) == ()
    (words,) = missed_weight(rbm, log_z, state, without, stream, machine[1])
    assert words.endswith("0 of the 200 samples: a narrow mode was missed")
    heavy, state = needle(0.9)
    elsewhere = exact_log_partition(heavy) + np.log(0.1)
    samples = exact_samples(heavy, 200, seed=5)[0].to(torch.uint8)
    assert missed_weight(heavy, elsewhere, state, samples[(samples != state).any(1)], stream, machine[1])


def test_ladders_know_ln_z(machine):
    rbm, _ = needle(0.001)
    stream = Stream(4, "ladder")
    ladder = choose_ladder(ladder_models(rbm, None), stream, machine[1])
    assert ladder_log_partition(ladder, temper(ladder, 100, 64, stream, machine[1])) == pytest.approx(
        exact_log_partition(rbm), abs=0.1
    )


def test_tails_show_chains_that_stay_in_a_light_mode():
    """Four of 200 chains never leave a far place, where the others never are: their ranks hardly move the means."""
    generator = np.random.default_rng(5)
    draws = generator.normal(size=(200, 40, 1))
    draws[::50] = generator.normal(loc=8.0, size=(4, 40, 1))
    start = draws[:, 0]
    assert nested_r_hat(draws, start)[0] < 1.01
    assert local_r_hat(draws, start)[0] > 1.02
    free = generator.permuted(draws, axis=0)  # the control: every chain is there one time in fifty
    assert local_r_hat(free, free[:, 0])[0] < 1.02


def test_a_rung_that_is_stuck_is_named():
    """Rung 1 of three keeps what it began with; the verdict of the whole says which it is."""
    generator = np.random.default_rng(6)
    projections = generator.normal(size=(3, 80, 32, 2))
    start = generator.normal(size=(3, 80, 2))
    projections[1] += 3.0 * start[1][:, None]
    differences = [generator.normal(size=(80, 16)) for _ in range(2)]
    about = about_rungs(projections, start, differences, differences)
    assert [bool(words) for words in about] == [False, True, False]
    assert summary(about)[0].startswith("1 of the 3 rungs are not in equilibrium, for example: ")
    assert "rung 1" in summary(about)[0]


def test_one_look_is_not_enough(machine):
    """An easy model passes at once; where the rounds end with the first look, that is said."""
    rbm = rs.RBM.random(20, 8, 0.1, seed=1)
    stream = Stream(7, "looks")
    ladder = choose_ladder(ladder_models(rbm, None), stream, machine[1])
    twice = temper_until(ladder, 200, stream, machine[1], 1024)
    assert twice.converged
    assert twice.n_rounds == 96
    once = temper_until(ladder, 800, stream, machine[1], 20)
    assert once.objections == (ONE_LOOK,)
    assert temper_until(ladder, 800, stream, machine[1], 64).converged, "looked at after 32 rounds and at the end"


def test_rounding_that_moves_modes_takes_another_precision(machine):
    """300 x 8 equal weights round alike; those of a random model do not, and keep the fast annealer."""
    engine, annealer = machine
    weights = np.full((300, 8), 0.3)
    rbm = rs.RBM(weights, -weights.sum(1) / 2, -weights.sum(0) / 2)
    states = torch.tensor([[0], [1]], dtype=torch.uint8).expand(2, 300)
    if float(rounding(rbm, annealer.bind(rbm, 2), states).std()) > MAX_SHIFT:
        fine, objections = faithful_annealer(rbm, states, engine, annealer, "auto")
        assert float(rounding(rbm, fine.bind(rbm, 2), states).std()) < 1e-3
        assert objections == ()
        _, (words,) = faithful_annealer(rbm, states, engine, annealer, engine.precision)
        assert words.endswith("pass precision='fp32'")
    plain = rs.RBM.random(300, 8, 0.1, seed=2)
    assert faithful_annealer(plain, states, engine, annealer, "auto") == (annealer, ())
