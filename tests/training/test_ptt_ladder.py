"""The parts of the ladder of training in equilibrium, against sums over all hidden states of small models."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.errors import FormatError
from rbmscape.kernels.select import select_engine
from rbmscape.model.exact import exact_log_partition, exact_samples
from rbmscape.model.interpolate import interpolated
from rbmscape.rng import Stream
from rbmscape.sampling.diagnostics import effective_sample_size
from rbmscape.sampling.ladder import leading_modes
from rbmscape.training.ladder.audit import Blind, blind_doubts, scout
from rbmscape.training.ladder.climb import Effort, climb, link_doubts
from rbmscape.training.ladder.control import MAX_HALVINGS, Action, Rate, decide, frozen, was_rejected, went_on
from rbmscape.training.ladder.exchange import draw_partners, make_offer, thinness
from rbmscape.training.ladder.groups import group_count, pack, partners, split, unpack
from rbmscape.training.ladder.link import add_sweep, connect, group_error
from rbmscape.training.ladder.machine import Machine
from rbmscape.training.ladder.rungs import Ladder, Rung, base_ladder, base_model, extended
from rbmscape.training.ladder.store import ladder_tensors, model_tensors, rate_tensor, read_ladder, read_rate
from rbmscape.training.ladder.sweep import sweep
from rbmscape.training.ladder.thermalise import thermalise, within_groups
from rbmscape.training.ladder.verdict import Excursion, entropy_bound, excursion, excursion_doubts, ladder_doubts

N, M, GROUPS = 16, 6, 10


def ferromagnet(barrier, tilt=0.0):
    """Nearly all units off, or nearly all on, with log odds of about `tilt` for the second."""
    weights = np.full((N, M), barrier)
    return rs.RBM(weights, -weights.sum(1) / 2 + tilt / N, -weights.sum(0) / 2)


def machine():
    return Machine(select_engine("cpu", "fp32").annealer())


def samples(model, n, seed):
    return exact_samples(model, n, seed=seed)[0].to(torch.uint8)


def rung(made, model, n_a_group, seed, update=1):
    states = samples(model, GROUPS * n_a_group, seed).reshape(GROUPS, n_a_group, N)
    return Rung(model, made.prepare(model), states, torch.empty(0), update).with_states(made, states)


def linked(made, low, high):
    """The link of two rungs from their reservoirs."""
    ahead = made.log_densities(low.flat, high.prepared)[0].reshape(low.log_density.shape) - low.log_density
    back = high.log_density - made.log_densities(high.flat, low.prepared)[0].reshape(high.log_density.shape)
    return connect(ahead, back)


def share_up(states):
    return float((states.reshape(-1, N).sum(1) > N / 2).to(torch.float64).mean())


def exact_share_up(model):
    return share_up(samples(model, 50_000, 99))


def test_groups_partition_the_chains():
    assert [group_count(n) for n in (4, 20, 99, 500)] == [1, 4, 19, 20]
    rows = torch.arange(23)
    found = split(rows, 4)
    assert found.shape == (4, 5)
    assert all((found[g] % 4 == g).all() for g in range(4))
    picks = partners(23, 4, 6, 17)
    assert (picks // 6 == rows % 4).all()
    assert len(set(picks.tolist())) == 23


def test_packed_bits_come_back():
    states = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (3, 4, 13), dtype=np.uint8))
    assert pack(states).shape == (3, 4, 2)
    assert torch.equal(unpack(pack(states), 13), states)


def test_offers_leave_the_target_alone():
    """Chains from exact samples of the target, proposals from exact samples of another model: after one exchange the
    mean of any function is unchanged.  z-scores of 16 unit means and of the energy: false alarm 2e-3 for |z| < 4 in
    all.  Negative control: the target's own weights upside down.
    """
    made, target, other = machine(), ferromagnet(0.5, 1.0), ferromagnet(0.35, -1.0)
    chains, proposals = samples(target, 20_000, 1), samples(other, 20_000, 2)
    target_, other_ = made.prepare(target), made.prepare(other)

    def weights(v):
        own, there = made.log_densities(v, target_, other_)
        return own - there

    z = []
    for sign in (1.0, -1.0):
        offer = make_offer(sign * weights(chains), sign * weights(proposals), Stream(0, "test").numpy())
        moved = torch.where(offer.taken[:, None], proposals, chains)
        assert 0.2 < float(offer.taken.double().mean()) < 0.9
        assert offer.acceptance == pytest.approx(float(offer.taken.double().mean()), abs=0.02)
        exact = samples(target, 50_000, 3).double()
        change = moved.double().mean(0) - exact.mean(0)
        z.append(change / (exact.std(0) * np.sqrt(1 / len(moved) + 1 / len(exact))))
    assert z[0].abs().max() < 4.0
    assert z[1].abs().max() > 10.0


def test_links_know_their_error():
    """The ratio of two exact models from exact samples, 40 times: z-scores have an RMS between 0.7 and 1.3 (normal to
    within 0.11, beyond that with probability 1e-2), none above 4.5.
    """
    made, low, high = machine(), ferromagnet(0.35, -0.5), ferromagnet(0.5, 0.5)
    exact = exact_log_partition(high) - exact_log_partition(low)
    z = []
    for seed in range(40):
        link = linked(made, rung(made, low, 20, 2 * seed), rung(made, high, 20, 2 * seed + 1))
        assert abs(link.influence.sum()) < 1e-9
        assert not link_doubts(link)
        z.append((link.value - exact) / group_error(link.influence))
    assert 0.7 < np.sqrt(np.mean(np.square(z))) < 1.3
    assert np.abs(z).max() < 4.5


def test_a_reservoir_without_a_mode_is_seen_by_its_link():
    """Negative control: one direction says another ratio than the other where the upper states miss a mode."""
    made, low, high = machine(), ferromagnet(0.5), ferromagnet(0.55, 1.5)
    whole = samples(high, 4000, 5)
    below = rung(made, low, 40, 6)
    upper = whole[whole.sum(1) > N / 2][: GROUPS * 40].reshape(GROUPS, 40, N)
    broken = rung(made, high, 40, 7).with_states(made, upper)
    assert any("differ" in doubt for doubt in link_doubts(linked(made, below, broken)))


def test_sweeps_bring_a_lost_mode_back():
    """The newest reservoir has one of two modes only.  Parallel tempering along the ladder restores the weight, and the
    later sweeps disagree with the freeze.  Without sweeps it stays as it is.
    """
    made, models = machine(), [ferromagnet(b, 6.0 * b - 1.5) for b in (0.0, 0.25, 0.37, 0.47, 0.56)]
    rungs = [rung(made, model, 20, 10 + k) for k, model in enumerate(models)]
    wrong = [state for state in samples(models[-1], 4000, 20) if state.sum() < N / 2]
    rungs[-1] = rungs[-1].with_states(made, torch.stack(wrong[: GROUPS * 20]).reshape(GROUPS, 20, N))
    links = tuple(linked(made, low, high) for low, high in pairwise(rungs))
    ladder, shares, stream = Ladder(tuple(rungs), links), [], Stream(3, "sweeps")
    assert share_up(ladder.top.states) == 0.0
    for number in range(400):
        ladder = sweep(made, ladder, 20, stream)
        if number >= 100 and number % 10 == 0:
            shares.append(share_up(ladder.top.states))
    assert np.mean(shares) == pytest.approx(exact_share_up(models[-1]), abs=0.05)
    assert abs(ladder.links[-1].drift) > 4.0
    assert any("later sweeps" in doubt for doubt in ladder_doubts(ladder, 0.1, -1.0))
    again = made.log_densities(ladder.top.flat, ladder.top.prepared)[0].reshape(GROUPS, 20)
    torch.testing.assert_close(ladder.top.log_density, again, rtol=0.0, atol=1e-4)


def test_sweeps_of_a_healthy_ladder_change_nothing_but_the_error():
    """z of ln Z before and after 200 sweeps (false alarm 1e-4 each), drifts below 4.5, a smaller error."""
    made, models = machine(), [base_model(ferromagnet(0.1, 0.4)), *(ferromagnet(b, 0.4) for b in (0.1, 0.25, 0.35))]
    rungs = [rung(made, model, 20, 30 + k) for k, model in enumerate(models)]
    links = tuple(linked(made, low, high) for low, high in pairwise(rungs))
    first = ladder = Ladder(tuple(rungs), links)
    for _ in range(200):
        ladder = sweep(made, ladder, 10, Stream(4, "sweeps"))
    exact = exact_log_partition(models[-1])
    for one in (first, ladder):
        assert abs(one.log_partition - exact) < 4.0 * one.stderr
    assert ladder.stderr < 0.5 * first.stderr
    assert max(abs(link.drift) for link in ladder.links) < 4.5
    assert ladder.sweeps == 200
    assert [link.sweeps for link in ladder.links] == [100, 100, 100]


def test_thermalisation_goes_on_until_the_chains_forget_their_start():
    """Chains that all start in one mode end with the weights of both; their states are collected, group by group."""
    made, low, high = machine(), ferromagnet(0.4, 0.4), ferromagnet(0.5, 0.4)
    start = torch.ones(200, N, dtype=torch.uint8)
    found = thermalise(
        made, made.prepare(high), rung(made, low, 100, 50), start, leading_modes(high.weights), 5, 512,
        Stream(5, "thermal"),
    )  # fmt: skip
    assert found.doubts == ()
    assert found.states.shape == (GROUPS, 100, N)
    assert found.rounds >= 20 * found.autocorrelation
    assert share_up(found.states) == pytest.approx(exact_share_up(high), abs=0.08)
    own, there = made.log_densities(found.states.reshape(-1, N), made.prepare(high), made.prepare(low))
    torch.testing.assert_close(found.above.reshape(-1), own - there, rtol=0.0, atol=1e-4)


def test_too_few_rounds_are_called_that():
    """Negative control: two modes far apart, hardly any exchange, few rounds."""
    made, low, high = machine(), ferromagnet(0.0), ferromagnet(1.2)
    start = torch.cat((torch.ones(100, N), torch.zeros(100, N))).to(torch.uint8)
    found = thermalise(
        made, made.prepare(high), rung(made, low, 100, 60), start, leading_modes(high.weights), 1, 32,
        Stream(6, "thermal"),
    )  # fmt: skip
    assert any("R-hat" in doubt or "thermalised" in doubt for doubt in found.doubts)


def test_a_climb_puts_rungs_where_models_are_far_apart():
    """From independent units to a model with two modes in one go; ln Z within four errors (false alarm 1e-4)."""
    made, target = machine(), ferromagnet(0.55, 0.4)
    ladder = base_ladder(made, base_model(ferromagnet(0.0)), GROUPS, 100, Stream(0, "base"))
    chains = samples(ladder.top.model, 200, 70)
    found = climb(made, ladder, target, chains, Effort(100, 20), Stream(7, "climb"), 12)
    assert found.doubts == ()
    assert len(found.ladder.rungs) > 2
    assert found.ladder.top.update == 12
    assert found.ladder.top.states.shape == (GROUPS, 100, N)
    assert all(one.states.shape[1] == 20 for one in found.ladder.rungs[:-1])
    assert abs(found.ladder.log_partition - exact_log_partition(target)) < 4.0 * found.ladder.stderr
    assert len(ladder.rungs) == 1


def test_interpolation_ends_at_its_ends():
    one, other = ferromagnet(0.1), ferromagnet(0.3)
    assert interpolated(one, other, 0.0) is one
    assert interpolated(one, other, 1.0) is other
    torch.testing.assert_close(interpolated(one, other, 0.5).weights, ferromagnet(0.2).weights)


def test_scouts_find_a_mode_that_the_ladder_lost():
    made, model = machine(), ferromagnet(0.6)
    whole = samples(model, 2000, 80)
    up = whole[whole.sum(1) > N / 2]
    base = rung(made, base_model(ferromagnet(0.0)), 20, 81)
    data, stream = samples(model, 64, 83), Stream(8, "scouts")

    def sent(reservoir, chains):
        top = rung(made, model, 50, 82).with_states(made, reservoir[: GROUPS * 50].reshape(GROUPS, 50, N))
        ladder = Ladder((base, top), (linked(made, base, top),))
        return scout(made, top.prepared, ladder, chains, data, 64, 32, stream)

    good, bad = sent(whole, whole[-200:]), sent(up, up[-200:])
    assert not blind_doubts(good)
    assert bad.data > 0.2
    assert bad.fresh > 0.2
    assert len(blind_doubts(bad)) == 2
    assert not blind_doubts(Blind(0.05, 0.2), 3.0)


def test_excursions_and_bounds():
    change = torch.tensor([1.0] * 90 + [-9.0] * 10, dtype=torch.float64)
    assert excursion(change, 0.0) == Excursion(pytest.approx(0.0), pytest.approx(0.1))
    assert excursion_doubts(excursion(change, 0.5))
    assert excursion_doubts(excursion(change - 3.0, 0.0))
    assert not excursion_doubts(excursion(change + 1.0, 0.0))
    assert not excursion_doubts(excursion(torch.full((100,), -1.0, dtype=torch.float64), 0.0))
    rows = torch.tensor([[0, 1], [0, 1], [1, 1], [0, 0]])
    assert entropy_bound(rows) == pytest.approx(0.5 * np.log(0.5) + 0.5 * np.log(0.25))
    ladder = base_ladder(machine(), base_model(ferromagnet(0.0)), GROUPS, 10, Stream(0, "base"))
    assert ladder_doubts(ladder, 0.1, -1.0) == []
    assert any("any distribution" in doubt for doubt in ladder_doubts(ladder, 0.1, 0.5))
    assert any("standard error" in doubt for doubt in ladder_doubts(ladder, 2.0, -1.0))


def test_the_base_follows_a_weakly_coupled_model():
    """Independent units with the mean input of free hidden units: ln Z agrees to second order in the weights."""
    model = rs.RBM.random(N, M, std=0.02, seed=3)
    base = base_model(model)
    ladder = base_ladder(machine(), base, GROUPS, 50, Stream(1, "base"))
    assert ladder.log_partition == pytest.approx(exact_log_partition(base), abs=1e-6)
    assert ladder.stderr == 0.0
    difference = base.free_energy(torch.eye(N)) - model.free_energy(torch.eye(N))
    assert float(difference.std()) < 0.1 * float((model.weights.sum(1) / 2).std())


def test_the_controller():
    calm = Rate()
    for _ in range(1000):
        calm = went_on(calm, 0.9, 0.3)
    assert calm.factor == 1.0
    assert (calm.since_freeze, calm.since_change) == (1000, 0)
    low = was_rejected(was_rejected(calm))
    assert (low.factor, low.halvings, low.rejections, low.since_freeze) == (0.25, 2, 2, 0)
    for _ in range(20):
        low = went_on(low, 0.9, 0.3)
    assert low.factor == pytest.approx(0.25 * 1.1)
    assert low.halvings == 0
    tight = low
    for _ in range(20):
        tight = went_on(tight, 0.35, 0.3)
    assert tight.factor == low.factor
    for updates, rungs, change in ((60, 1, 1.0), (15, 1, 0.5), (30, 2, 0.5), (240, 1, 2.0), (2, 9, 0.5), (999, 1, 2.0)):
        assert frozen(replace(low, since_freeze=updates - 1), rungs).factor == pytest.approx(change * low.factor)
    assert decide(calm, 0.5, 0.3, 0.1) is Action.GO_ON
    assert decide(calm, 0.2, 0.3, 0.1) is Action.FREEZE
    assert decide(calm, 0.05, 0.3, 0.1) is Action.REJECT
    assert decide(frozen(calm, 1), 0.2, 0.3, 0.1) is Action.REJECT
    for _ in range(MAX_HALVINGS + 1):
        assert not low.stalled
        low = was_rejected(low)
    assert low.stalled


def test_groups_that_are_offered_different_states_are_no_memory():
    """Chains without any memory, whose groups have different means: the autocorrelation time is that of white noise."""
    generator = Stream(11, "memory").numpy()
    trace = torch.from_numpy(generator.standard_normal((200, 256, 1)))
    shifted = trace + torch.from_numpy(generator.standard_normal(GROUPS))[torch.arange(200) % GROUPS][:, None, None]
    is_rare = (generator.random((200, 256, 1)) < 0.05) & (np.arange(200) % GROUPS < GROUPS // 2)[:, None, None]
    rare = trace + 20.0 * torch.from_numpy(is_rare)
    aligned = rare - rare.reshape(-1, GROUPS, 256).mean((0, 2))[torch.arange(200) % GROUPS][:, None, None]
    for seen in (shifted, aligned):
        left = within_groups(seen, GROUPS)
        assert left.mean() == pytest.approx(0.5)
        ess = [float(effective_sample_size(one, "bulk")[0]) for one in (seen.numpy(), left)]
        assert ess[0] < 0.2 * trace.numel()
        assert ess[1] > 0.8 * trace.numel()


def test_chains_that_stay_where_they_are_keep_their_memory_within_groups():
    """Negative control: chains of one group that never leave their places are as few draws as there are chains."""
    generator = Stream(13, "memory").numpy()
    stuck = torch.from_numpy(generator.standard_normal((200, 1, 1)) + 0.1 * generator.standard_normal((200, 256, 1)))
    assert float(effective_sample_size(within_groups(stuck, GROUPS), "bulk")[0]) < 400.0


def test_thin_places_ask_for_a_rung():
    """Normal ln w of variance s: the mean of w over the model's states with w > 12, against its integral."""
    from scipy.special import ndtr

    generator = Stream(12, "thin").numpy()
    for variance in (0.25, 1.0, 1.5):
        draws = torch.from_numpy(generator.standard_normal(1_000_000) * np.sqrt(variance))
        integral = np.exp(variance) * ndtr((1.5 * variance - np.log(12.0)) / np.sqrt(variance))
        assert thinness(draws) == pytest.approx(integral, rel=0.1, abs=2e-3)
    chains = torch.tensor([0.0] * 499 + [np.log(400.0)])
    assert make_offer(chains, torch.zeros(500), generator).thin == pytest.approx(0.8)
    assert make_offer(chains.clamp(max=2.0), torch.zeros(500), generator).thin == 0.0


def test_a_ladder_is_saved_and_comes_back():
    made = machine()
    ladder = base_ladder(made, base_model(ferromagnet(0.0)), GROUPS, 100, Stream(0, "base"))
    chains = samples(ladder.top.model, 200, 90)
    ladder = climb(made, ladder, ferromagnet(0.25), chains, Effort(100, 20), Stream(9, "climb"), 5).ladder
    for _ in range(6):
        ladder = sweep(made, ladder, 20, Stream(10, "sweeps"))
    tensors, models = ladder_tensors(ladder), [model_tensors(one) for one in ladder.rungs]
    again = read_ladder(made, tensors, [*models, models[0]])
    one, other = (sweep(made, found, 20, Stream(10, "sweeps")) for found in (ladder, again))
    assert one.log_partition == other.log_partition
    assert one.stderr == other.stderr
    assert [one_.update for one_ in one.rungs] == [other_.update for other_ in other.rungs]
    assert all(torch.equal(a.states, b.states) for a, b in zip(one.rungs, other.rungs, strict=True))
    assert read_rate(rate_tensor(Rate(0.3, 1, 2, 3, 4), 0.5)) == (Rate(0.3, 1, 2, 3, 4), 0.5)
    with pytest.raises(FormatError, match="rungs, of which only 1"):
        read_ladder(made, tensors, models[:1])
    with pytest.raises(FormatError, match="lacks"):
        read_ladder(made, {}, models)


def test_an_older_reservoir_is_thinned_and_partners_stay_in_their_group():
    made = machine()
    low, high = rung(made, ferromagnet(0.1), 30, 91), rung(made, ferromagnet(0.15), 30, 92)
    ladder = extended(Ladder((low,), ()), high, linked(made, low, high), 10)
    assert ladder.rungs[0].states.shape == (GROUPS, 10, N)
    assert torch.equal(ladder.rungs[0].states, low.states[:, ::3])
    picks = draw_partners(25, torch.zeros(GROUPS, 30), Stream(0, "partners").numpy())
    assert (picks // 30 == torch.arange(25) % GROUPS).all()
    more = add_sweep(ladder.links[0], low.log_density[:, :3] * 0.0, low.log_density[:, :3] * 0.0)
    assert more.sweeps == 1
