"""Words, fractions and iterators where something else is wanted: a sentence, or the same result; never a traceback."""

from __future__ import annotations

import multiprocessing

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.errors import InputError

BITS = np.random.default_rng(0).integers(0, 2, (200, 12)).astype(np.uint8)
DATA = rs.Dataset.from_array(BITS, train_labels=np.arange(200) % 3)
CONFIG = rs.TrainingConfig(n_hidden=4, epochs=4, n_chains=20, batch_size=50, early_checkpoints=2)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return rs.train(DATA, CONFIG, tmp_path_factory.mktemp("run") / "a", progress=False)


COUNTS = {
    "chains": lambda run, n: rs.sample(run.load(), n, 5, method="gibbs"),
    "chains of a mixing report": lambda run, n: rs.mixing_report(run, DATA, n_chains=n),
    "rows": lambda _, n: DATA.limited(n),
    "units": lambda _, n: rs.RBM.random(n, 3),
    "update": lambda run, n: run.load(n),
    "dimension": lambda _, n: rs.random_rotation(n, 2),
    "modes": lambda _, n: rs.linear_growth(BITS, n),
    "rotations": lambda run, n: rs.rotation_divergence(run.load(), n_rotations=n),
}
NUMBERS = {
    "part of the rows": lambda x: rs.load_dataset(BITS, test_fraction=x),
    "temperature of sampling": lambda x: rs.sample(rs.RBM.random(3, 2), 5, 5, beta=x, method="gibbs"),
    "width of weights": lambda x: rs.RBM.random(3, 3, std=x),
    "temperature of spins": lambda x: rs.load_dataset("ising", temperature=x),
    "labels": lambda x: rs.load_dataset("mnist", digits=x),
}


MODELS = {
    "modes": rs.Modes.of,
    "spins": rs.spin_parameters,
    "couplings": rs.effective_couplings,
    "mean field": rs.mean_field,
    "bosons": rs.boson_spectrum,
    "potential": lambda x: rs.landau(x, 0),
    "slow modes": lambda x: rs.slow_modes(x, BITS[:4]),
    "hysteresis": rs.hysteresis,
    "fixed points": lambda x: rs.fixed_points(x, BITS[:4]),
    "equilibrium": rs.equilibrium_samples,
    "quality": lambda x: rs.quality(x, DATA),
    "partition of rows": lambda x: rs.log_probability(rs.RBM.random(12, 3), BITS, partition=x),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("value", ["model.safetensors", 3, np.array(1.0), [None]])
def test_what_is_no_model_is_refused_in_one_sentence(name, value):
    with pytest.raises(InputError, match=r"found \w+; (make one with|pass)"):
        MODELS[name](value)


def test_a_report_of_mixing_wants_a_run():
    with pytest.raises(InputError, match="must be a run, found RBM"):
        rs.mixing_report(rs.RBM.random(12, 3), DATA)


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", ["7", 3.5])
def test_counts_are_whole_numbers(run, name, value):
    with pytest.raises(InputError, match=repr(value).strip("'")):
        COUNTS[name](run, value)


@pytest.mark.parametrize("name", NUMBERS)
def test_words_are_no_numbers(name):
    with pytest.raises(InputError, match="'seven'"):
        NUMBERS[name]("seven")


def test_models_may_come_from_an_iterator(run):
    models = [run.load(update) for update in run.updates]
    given = [
        rs.likelihood_bracket(models[-1], DATA, models=(m for m in models), n_chains=20, n_betas=20).gap,
        rs.likelihood_bracket(models[-1], DATA, models=models, n_chains=20, n_betas=20).gap,
    ]
    assert given[0] == given[1]
    growth = rs.linear_growth(BITS, 1)
    options = {"batch_size": 50, "n_chains": 20}
    some = [
        rs.measured_growth(source, run.updates, np.arange(len(models)), growth, **options)
        for source in (models, iter(models))
    ]
    assert str(some[0]) == str(some[1])


def test_labels_match_whatever_they_are_written_as():
    words = rs.Dataset.from_array(BITS, train_labels=[str(k % 3) for k in range(200)])
    for data in (DATA, words):
        for wanted in ([0, 2], ["0", "2"]):
            np.testing.assert_array_equal(data.with_labels(wanted).train, BITS[np.arange(200) % 3 != 1])


@pytest.mark.parametrize(("engine", "precision"), [("auto", "auto"), ("reference", "fixed"), ("cpu", "fp32")])
def test_the_default_type_of_torch_changes_nothing(engine, precision):
    config = CONFIG.replace(engine=engine, precision=precision)
    usual = rs.train(DATA, config, progress=False).load()
    torch.set_default_dtype(torch.float64)
    try:
        other = rs.train(DATA, config, progress=False).load()
        model = rs.RBM.random(4, 3)
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(usual.weights, other.weights)
    assert model.visible_bias.dtype == torch.float32


def _trained(seed: int) -> float:
    return float(rs.train(DATA, CONFIG.replace(seed=seed), progress=False).load().weights.sum())


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="the system does not fork")
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_forked_child_trains_after_a_training_with_threads():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        wanted = _trained(1)
        torch.ones(400, 400) @ torch.ones(400, 400)
        with multiprocessing.get_context("fork").Pool(1) as pool:
            assert pool.map_async(_trained, [1]).get(timeout=60) == [wanted]
    finally:
        torch.set_num_threads(threads)
