"""Every long call takes ``progress`` and counts what it announces, to the last."""

from __future__ import annotations

import pytest

import rbmscape as rs
from rbmscape.diffusion.tree import fixed_point_tree
from rbmscape.likelihood import trajectory_log_partition
from rbmscape.reciprocal.evolution import evolution
from rbmscape.reciprocal.gaussianity import sampled_kurtosis
from rbmscape.reciprocal.mixing import mixing_audit
from rbmscape.runs.samples import model_samples
from rbmscape.sampling.draws import gibbs_draws


class Counter:
    """What a call announces, and what it counts."""

    def __init__(self) -> None:
        self.announced: list[int | None] = []
        self.counted = 0
        self.running = 0

    def start(self, _what: str, total: int | None) -> None:
        self.announced.append(total)
        self.running += 1

    def advance(self, done: int, _status: object = None) -> None:
        assert done >= 0  # 0 shows life where there is nothing to count
        assert self.running > 0
        self.counted += done

    def stop(self) -> None:
        self.running -= 1


RBM = rs.RBM.random(9, 6, std=0.5, seed=2)
ROWS = rs.load_dataset("bars-and-stripes", image_shape=(3, 3)).train
CALLS = {
    "gibbs_draws": (
        lambda progress: gibbs_draws(RBM, n_chains=5, burn_in=7, n_draws=3, thin=2, progress=progress),
        5 * 13,
    ),
    "sample": (lambda progress: rs.sample(RBM, 30, 120, progress=progress), 30 * 120),
    "log_partition, ais": (
        lambda progress: rs.log_partition(RBM, "ais", n_chains=30, n_betas=40, progress=progress),
        30 * 39,
    ),
    "log_likelihood, bar": (
        lambda progress: rs.log_likelihood(
            RBM, ROWS, "bar", n_chains=30, n_betas=40, starts=ROWS[:10], progress=progress
        ),
        40 * 39,
    ),
    "langevin, entropic": (
        lambda progress: rs.langevin(RBM, n_chains=4, n_steps=12, potential="entropic", progress=progress),
        12,
    ),
    "langevin, gaussian": (lambda progress: rs.langevin(RBM, n_chains=4, n_steps=12, progress=progress), 12),
    "evolution": (lambda progress: evolution([RBM, RBM], [0, 1], n_chains=0, progress=progress), 2),
    "fixed_point_tree": (lambda progress: fixed_point_tree([RBM, RBM], [0, 1], ROWS, progress), 2),
    "sampled_kurtosis": (lambda progress: sampled_kurtosis(RBM, n_states=5000, progress=progress), 5000),
    "mixing_audit": (
        lambda progress: mixing_audit(RBM, ROWS, 2, n_chains=20, factors=(1, 3), n_modes=2, progress=progress),
        2 * 20 * 6,
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_long_call_counts_what_it_announces(name):
    call, total = CALLS[name]
    counter = Counter()
    call(counter)
    assert counter.announced == [total]
    assert counter.counted == total
    assert counter.running == 0


UNKNOWN = {
    "model_samples": lambda progress: model_samples(RBM, n_chains=20, budget=1e9, progress=progress),
    "conditional_samples": lambda progress: rs.conditional_samples(
        RBM, 9 * [float("nan")], method="gibbs", budget=1e7, progress=progress
    ),
    "equilibrium_samples": lambda progress: rs.equilibrium_samples(RBM, 20, progress=progress),
    "likelihood_bracket": lambda progress: rs.likelihood_bracket(
        RBM, ROWS, 20, 20, max_betas=20, n_rounds=20, progress=progress
    ),
    "trajectory_log_partition": lambda progress: trajectory_log_partition(
        [RBM, RBM], n_chains=20, n_rounds=20, progress=progress
    ),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_call_of_unknown_length_says_so_and_counts(name):
    counter = Counter()
    UNKNOWN[name](counter)
    assert counter.announced == [None]
    assert counter.counted > 0
    assert counter.running == 0
