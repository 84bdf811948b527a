"""Every public function chooses its engine once and hands it down: what was asked for is all that is ever loaded."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.kernels import Engine, select
from rbmscape.likelihood import OnlineLogPartition, trajectory_log_partition
from rbmscape.reciprocal.mixing import mixing_audit
from rbmscape.sampling.draws import gibbs_draws
from rbmscape.sampling.sequence import sequence_samples, sequence_settings


@pytest.fixture
def models():
    """Two models of one training, small enough to anneal in no time."""
    generator = np.random.default_rng(1)
    weights, a, b = (generator.normal(size=shape).astype(np.float32) for shape in ((6, 3), 6, 3))
    return [rs.RBM(strength * weights, a, b) for strength in (0.1, 0.5)]


@pytest.fixture
def loaded(monkeypatch):
    """Names and precisions of all engines that are loaded from now on."""
    found: list[tuple[str, str]] = []
    load = select.Entry.load

    def recorded(entry, precision, device) -> Engine:
        found.append((entry.name, precision))
        return load(entry, precision, device)

    monkeypatch.setattr(select.Entry, "load", recorded)
    return found


def train(models, **engine):
    data = rs.Dataset.from_array(np.random.default_rng(2).integers(0, 2, (20, 6)).astype(np.uint8))
    config = rs.TrainingConfig(
        n_hidden=3, epochs=2, batch_size=10, n_chains=8, gibbs_steps=1, online_likelihood=True, **engine
    )
    rs.train(data, config, progress=False)


def online(models, **engine):
    states = torch.zeros(10, 6, dtype=torch.uint8)
    OnlineLogPartition.start(models[0], states, None, 0, **engine).update(models[1], states, **engine)


def recorded_draws(models, engine, precision):
    settings = sequence_settings({"budget": 1e6, "n_chains": 32, "target": 0.3})
    sequence_samples(models, 0, (0, "test"), settings, engine=select.select_engine(engine, precision))


DATA = torch.tensor([[0, 1] * 3, [1, 0] * 3], dtype=torch.uint8)
SHORT = {"n_chains": 8, "n_betas": 8}
USES = {
    "sample": lambda m, **e: rs.sample(m[1], 4, 2, **e),
    "sample in equilibrium": lambda m, **e: rs.sample(m[1], 4, method="equilibrium", **e),
    "equilibrium_samples": lambda m, **e: rs.equilibrium_samples(m, 8, budget=1e6, **e),
    "gibbs_draws": lambda m, **e: gibbs_draws(m[1], n_chains=4, burn_in=2, n_draws=2, thin=1, **e),
    "recorded draws": recorded_draws,
    "log_partition, ais without data": lambda m, **e: rs.log_partition(m[1], "ais", **SHORT, **e),
    "log_partition, bar": lambda m, **e: rs.log_partition(m[1], "bar", data=DATA, **SHORT, **e),
    "log_partition, reverse along a training": lambda m, **e: rs.log_partition(
        m[1], "reverse_ais", models=m, **SHORT, **e
    ),
    "log_likelihood": lambda m, **e: rs.log_likelihood(m[1], DATA, "bar", **SHORT, **e),
    "likelihood_bracket": lambda m, **e: rs.likelihood_bracket(m[1], DATA, max_betas=16, **SHORT, **e),
    "trajectory_log_partition": lambda m, **e: trajectory_log_partition(m, 4, 16, **e),
    "OnlineLogPartition": online,
    "train": train,
    "mixing_audit": lambda m, **e: mixing_audit(m[1], DATA, 1, n_chains=20, n_modes=1, **e),
}


@pytest.mark.parametrize("name", USES)
@pytest.mark.parametrize(("engine", "precision"), [("reference", "fp32"), ("cpu", "fp32")])
def test_nothing_but_what_was_asked_for_is_loaded(name, engine, precision, models, loaded):
    USES[name](models, engine=engine, precision=precision)
    assert set(loaded) == {(engine, precision)}
    once = 2 if name in ("OnlineLogPartition", "train") else 1  # two calls; a recipe, and the record that it leaves
    assert len(loaded) <= once


def test_a_reference_of_another_kind_would_be_seen(models, loaded):
    """Negative control: the list has what is loaded."""
    rs.sample(models[1], 4, 2, engine="reference", precision="fp64")
    rs.sample(models[1], 4, 2, engine="cpu", precision="fp32")
    assert loaded == [("reference", "fp64"), ("cpu", "fp32")]
