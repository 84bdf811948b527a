"""Replica exchange samples the exact distribution where plain Gibbs chains stay in the mode they began in."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rbmscape.errors import InputError, LadderError
from rbmscape.kernels.floats.annealing import ByteAnnealer, FloatAnnealer
from rbmscape.model.exact import exact_moments, exact_samples
from rbmscape.model.rbm import RBM
from rbmscape.rng import Stream
from rbmscape.sampling import ladder as ladders
from rbmscape.sampling.ladder import Ladder, choose_ladder, floor_rung, independent_model, shortest_ladder
from rbmscape.sampling.tempering import temper, temper_until

ANNEALER = FloatAnnealer()


def ferromagnet(barrier, n_visible=20, n_hidden=8, tilt=0.0):
    weights = np.full((n_visible, n_hidden), barrier)
    return RBM(weights, -weights.sum(1) / 2 + tilt / n_visible, -weights.sum(0) / 2)


@pytest.fixture(scope="module")
def training():
    """Models whose two modes drift apart, from none to a barrier that Gibbs chains do not cross."""
    return [ferromagnet(barrier, tilt=1.0) for barrier in (0.01, 0.2, 0.5, 1.0, 1.5)]


@pytest.fixture(scope="module")
def tempered(training):
    ladder = choose_ladder(training, Stream(2, "ladder"), ANNEALER)
    return ladder, temper(ladder, 400, 240, Stream(2, "tempering"), ANNEALER)


def occupied(v):
    """Whether a state is in the mode with most pixels on."""
    return (v.to(torch.float64).mean(1) > 0.5).to(torch.float64)


def test_the_target_is_bimodal_and_gibbs_does_not_cross(training):
    """What tempering is needed for: no chain of 200 changes mode in 100 Gibbs steps."""
    v = torch.zeros(200, 20, dtype=torch.uint8)
    path = ANNEALER.bind(training[-1], 200)
    path.load(v)
    for step in range(100):
        path.move(Stream(1, "gibbs"), 2 * step)
    assert float(occupied(path.v).mean()) < 0.02


def test_both_modes_have_their_weights(training, tempered):
    """Occupation of one mode over independent columns within 4 standard errors (false alarm 6e-5)."""
    _, result = tempered
    exact = float(occupied(exact_samples(training[-1], 20000, seed=5)[0]).mean())
    found = float(occupied(result.v).mean())
    assert 0.5 < exact < 0.95
    assert abs(found - exact) < 4.0 * np.sqrt(exact * (1 - exact) * (1 / 400 + 1 / 20000))


@pytest.mark.parametrize("annealer", [FloatAnnealer(), ByteAnnealer()], ids=lambda one: one.name)
def test_marginals_of_all_rungs(annealer):
    """Means on every rung against enumeration: largest of 15 z-scores a rung below 4.5 (false alarm 1e-4 each)."""
    generator = np.random.default_rng(3)
    weights, a, b = (generator.normal(size=shape).astype(np.float32) for shape in ((15, 7), 15, 7))
    models = [RBM(s * weights, a, b) for s in (0.1, 0.6, 1.2)]
    ladder = choose_ladder(models, Stream(4, "ladder"), annealer, keep=range(3))
    result = temper(ladder, 800, 60, Stream(4, "tempering"), annealer)
    for rbm, states in zip(ladder.models, result.states, strict=True):
        mean = exact_moments(rbm).visible
        z = (states.to(torch.float64).mean(0) - mean) / torch.sqrt(mean * (1 - mean) / 800)
        assert float(z.abs().max()) < 4.5


def test_diagnostics_of_a_good_run(tempered):
    ladder, result = tempered
    assert result.objections == ()
    assert result.passages.mean() > 2
    assert result.renewed > 0.9
    assert result.ess > 400
    assert result.acceptance.shape == (len(ladder.models) - 1,)
    assert result.acceptance.min() > 0.25
    assert result.trace.shape[:2] == (400, 120)


def test_acceptance_is_near_its_target():
    generator = np.random.default_rng(3)
    rbm = RBM(*(generator.normal(size=shape) for shape in ((120, 30), 120, 30)))
    path = [RBM(0 * rbm.weights, 0 * rbm.visible_bias, 0 * rbm.hidden_bias), rbm]
    for target in (0.3, 0.7):
        ladder = choose_ladder(path, Stream(2, "ladder"), ANNEALER, target)
        assert len(ladder.models) > 4
        result = temper(ladder, 100, 30, Stream(3, "tempering"), ANNEALER)
        assert np.median(result.acceptance) == pytest.approx(target, abs=0.15)


def test_modes_of_unequal_weight_are_not_jumped_at():
    """Pilots fall into both modes alike, the model prefers one e^5 times: acceptance must be judged by the latter."""
    path = [ferromagnet(0.4, tilt=5.0), ferromagnet(1.4, tilt=1.0)]
    base = independent_model(torch.full((20,), 0.5), torch.full((8,), 0.5))
    for seed in range(6):
        ladder = choose_ladder(path, Stream(seed, "ladder"), ANNEALER, base=base)
        result = temper(ladder, 200, 120, Stream(3, "tempering"), ANNEALER)
        assert result.acceptance.min() > 0.15


def test_the_lowest_rung_is_next_to_a_weakly_coupled_model():
    """A rung of its own is not spent on the noise of the lowest one, also where most pixels are hardly ever on."""
    weakly = RBM(0.01 * torch.randn(300, 20, generator=torch.Generator().manual_seed(1)), [-6.0] * 300, [0.0] * 20)
    ladder = choose_ladder([weakly], Stream(2, "ladder"), ANNEALER)
    assert ladder.positions == (-1.0, 0.0)
    assert temper(ladder, 200, 30, Stream(3, "tempering"), ANNEALER).acceptance[0] > 0.9


def test_checkpoints_are_skipped_and_models_inserted(training):
    few = choose_ladder(training, Stream(2, "ladder"), ANNEALER, 0.2)
    kept = choose_ladder(training, Stream(2, "ladder"), ANNEALER, 0.2, keep=range(5))
    assert {0.0, 1.0, 2.0, 3.0, 4.0} <= set(kept.positions)
    assert len(kept.positions) > len(few.positions)
    direct = choose_ladder(training[-1:], Stream(2, "ladder"), ANNEALER, 0.7)
    assert any(position % 1 for position in direct.positions)
    assert float(direct.models[0].weights.abs().max()) == 0.0


def test_a_stretch_of_swinging_modes_is_bypassed():
    """Middle checkpoints favour one mode by e^±5; the ladder that leaves most of them out mixes better."""
    tilts = [0.0, 0.0, 5.0, -5.0, 5.0, -5.0, 0.0, 1.0]
    training = [ferromagnet(0.2 * k, tilt=tilt) for k, tilt in enumerate(tilts)]
    through = choose_ladder(training, Stream(2, "ladder"), ANNEALER)
    around = shortest_ladder(training, Stream(2, "ladder"), ANNEALER)
    assert len(around.models) <= len(through.models)
    slow, fast = (temper(one, 400, 150, Stream(3, "tempering"), ANNEALER) for one in (through, around))
    exact = float(occupied(exact_samples(training[-1], 20000, seed=5)[0]).mean())
    assert abs(float(occupied(fast.v).mean()) - exact) < 4.0 * np.sqrt(exact * (1 - exact) / 400)
    assert fast.passages.mean() > 1.4 * slow.passages.mean()
    assert fast.r_hat - 1.0 < 0.5 * (slow.r_hat - 1.0)


def test_the_lowest_rung_has_the_first_models_activities():
    """A late model whose short chains sit in one mode must not decide what the lowest rung looks like."""
    training = [ferromagnet(0.02), *(ferromagnet(1.2, tilt=-4.0) for _ in range(5)), ferromagnet(1.2)]
    ladder = shortest_ladder(training, Stream(2, "ladder"), ANNEALER)
    activities = torch.sigmoid(ladder.models[0].visible_bias)
    torch.testing.assert_close(activities, torch.full_like(activities, 0.5), rtol=0, atol=0.2)


def test_a_broken_ladder_is_reported():
    """Negative control: independent units directly below the bimodal model exchange nothing, and chains disagree."""
    base = independent_model(torch.full((20,), 0.5), torch.full((8,), 0.5))
    start = torch.stack([torch.zeros(40, 20, dtype=torch.uint8), (torch.arange(40) % 2)[:, None].expand(40, 20).byte()])
    ladder = Ladder((base, ferromagnet(4.0)), (-1.0, 0.0), start)
    result = temper(ladder, 40, 40, Stream(1, "tempering"), ANNEALER)
    found = " ".join(result.objections)
    assert "R-hat" in found
    assert "are accepted with probability" in found
    assert "fresh states reached the top" in found


def test_rounds_are_added_until_the_demands_are_met(training):
    """An easy ladder stops early, a hard one goes on; both agree with a run of as many rounds."""
    ladder = choose_ladder(training, Stream(2, "ladder"), ANNEALER)
    found = temper_until(ladder, 400, Stream(2, "tempering"), ANNEALER, 1024)
    assert found.converged
    assert found.n_rounds < 1024
    half = temper(ladder, 400, found.n_rounds // 2, Stream(2, "tempering"), ANNEALER)
    assert found.n_rounds == 64 or not half.converged
    same = temper(ladder, 400, found.n_rounds, Stream(2, "tempering"), ANNEALER)
    assert torch.equal(found.states, same.states)
    np.testing.assert_array_equal(found.trace, same.trace)
    few = temper_until(ladder, 10, Stream(2, "tempering"), ANNEALER, 70)
    assert few.n_rounds == 70
    assert "independent draws" in " ".join(few.objections)


def test_columns_do_not_depend_on_one_another(training):
    """Column c of a run with fewer columns is column c of a run with more (apart from where it starts)."""
    ladder = choose_ladder(training, Stream(2, "ladder"), ANNEALER)
    same = Ladder(ladder.models, ladder.positions, ladder.start[:, :1])
    few, many = (temper(same, n, 30, Stream(5, "tempering"), ANNEALER) for n in (6, 11))
    assert torch.equal(few.states, many.states[:, :6])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_chains": 0}, "n_chains"),
        ({"n_rounds": 15}, "n_rounds must be a whole number of at least 16"),
        ({"steps": 0}, "steps must be"),
        ({"burn_in": 0.9}, "burn_in"),
    ],
)
def test_refuses(options, message, tempered):
    with pytest.raises(InputError, match=message):
        temper(tempered[0], **({"n_chains": 4, "n_rounds": 20} | options), stream=Stream(1, "x"), annealer=ANNEALER)


@pytest.mark.parametrize(
    ("models", "target", "message"),
    [
        ([], 0.5, "at least one model"),
        ([ferromagnet(1.0), ferromagnet(1.0, 5)], 0.5, "one shape"),
        ([ferromagnet(1.0)], 1.0, "target"),
    ],
)
def test_ladder_refuses(models, target, message):
    with pytest.raises(InputError, match=message):
        choose_ladder(models, Stream(1, "x"), ANNEALER, target)


def test_too_long_a_ladder(monkeypatch):
    monkeypatch.setattr(ladders, "MAX_RUNGS", 3)
    with pytest.raises(LadderError, match="more than 3 rungs"):
        choose_ladder([ferromagnet(1.0)], Stream(1, "x"), ANNEALER, 0.9)


def test_the_rungs_above_the_floor_suffice_in_equilibrium(training):
    """Columns of the upper rungs alone keep both modes in their proportion, and still cross; the top alone does not."""
    ladder = choose_ladder(training, Stream(2, "ladder"), ANNEALER)
    whole = temper(ladder, 400, 64, Stream(2, "tempering"), ANNEALER)
    floor = floor_rung(ladder, whole.states, Stream(6, "floor"), ANNEALER)
    assert 0 < floor < len(ladder.models) - 1
    upper = temper(ladder.above(floor, whole.states), 400, 128, Stream(7, "tempering"), ANNEALER)
    exact = float(occupied(exact_samples(training[-1], 20000, seed=5)[0]).mean())
    assert abs(float(occupied(upper.v).mean()) - exact) < 4.0 * np.sqrt(exact * (1 - exact) / 400)
    assert upper.r_hat < 1.02
    top = Ladder(ladder.models[-1:], ladder.positions[-1:], whole.states[-1:])
    assert floor_rung(top, top.start, Stream(6, "floor"), ANNEALER) == 0
    lone = temper(ladder.above(len(ladder.models) - 1, whole.states), 400, 128, Stream(7, "tempering"), ANNEALER)
    assert lone.r_hat > 1.1
