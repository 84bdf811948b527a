"""A run where a model is wanted is refused with the cure, wherever the contract does not take one."""

from __future__ import annotations

import pytest

import rbmscape as rs
from rbmscape.errors import InputError

WANT_A_MODEL = {
    "Modes.of": rs.Modes.of,
    "kurtosis": rs.kurtosis,
    "mean_field": rs.mean_field,
    "EffectivePotential": rs.EffectivePotential,
    "boson_spectrum": rs.boson_spectrum,
    "langevin": lambda run: rs.langevin(run, n_chains=2, n_steps=2),
    "rotated_weights": rs.rotated_weights,
    "rotation_divergence": rs.rotation_divergence,
    "landau": lambda run: rs.landau(run, 0),
    "log_partition": rs.log_partition,
    "log_likelihood": lambda run: rs.log_likelihood(run, run.dataset().train),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = rs.TrainingConfig(n_hidden=3, epochs=2, batch_size=7, n_chains=7, checkpoint_epochs=(1, 2))
    data = rs.load_dataset("bars-and-stripes", image_shape=(3, 3))
    return rs.train(data, config, tmp_path_factory.mktemp("runs") / "run", progress=False)


@pytest.mark.parametrize("name", WANT_A_MODEL)
def test_the_sentence_says_load(run, name):
    with pytest.raises(InputError, match=r"found a run; pass run\.load\(\), or run\.load\(update\)"):
        WANT_A_MODEL[name](run)
    WANT_A_MODEL["Modes.of"](run.load())  # the cure works


def test_other_attributes_are_missing_as_anywhere(run):
    assert not hasattr(run, "weights")
    assert not hasattr(run, "no_such_thing")
    with pytest.raises(AttributeError, match="a Run has no attribute 'no_such_thing'"):
        _ = run.no_such_thing


def test_a_bracket_of_a_run_is_that_of_its_models_and_data(run):
    options = {"n_chains": 20, "n_betas": 20, "max_betas": 40, "n_rounds": 20, "seed": 3}
    found = rs.likelihood_bracket(run, **options)
    same = rs.likelihood_bracket(run.load(), run.dataset(), models=list(run.models()), **options)
    assert (found.lower, found.upper, found.best) == (same.lower, same.upper, same.best)
    other = rs.likelihood_bracket(run, run.dataset().train[:3], **options)
    assert other.best.value != found.best.value


def test_samples_of_a_run_are_equilibrium_samples_of_its_models(run):
    found = rs.sample(run, 20, seed=2)
    same = rs.equilibrium_samples(list(run.models()), 20, seed=2)
    assert (found.v == same.v).all()
    assert (found.h == same.h).all()
    assert str(found.verdict) == str(same.verdict)
