"""Columns of data go by name wherever a model knows its units by name: reversed columns change nothing."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import rbmscape as rs
from rbmscape.errors import DataError, FormatError, ShapeError
from rbmscape.likelihood.estimate import base_data, given_rows
from rbmscape.reciprocal.evolution import evolution
from rbmscape.sklearn import BernoulliRBM, RBMClassifier

NAMES = ("smokes", "garden", "votes", "bicycle", "piano")


@pytest.fixture(scope="module")
def frame():
    rows = np.random.default_rng(4).random((60, len(NAMES))) < [0.1, 0.3, 0.5, 0.7, 0.9]
    return pd.DataFrame(rows.astype(int), columns=NAMES)


@pytest.fixture(scope="module")
def run(frame):
    config = rs.TrainingConfig(n_hidden=3, epochs=20, batch_size=10, n_chains=10)
    return rs.train(rs.load_dataset(frame, seed=1), config, progress=False)


def backwards(table):
    return table[table.columns[::-1]]


def gaps(table):
    """The same entries are missing whatever the order of the columns."""
    marks = [[(row + len(name)) % 7 == 0 for name in table.columns] for row in table.index]
    return table.astype(float).mask(np.array(marks))


def data_of(table):
    return rs.load_dataset(table, seed=1)


def whole(table):
    return rs.load_dataset(table, test_fraction=0)


ASKED = {
    "log_probability": lambda model, table: rs.log_probability(model, table).value,
    "log_probability of gaps": lambda model, table: rs.log_probability(model, gaps(table)).value,
    "log_probability of a dataset": lambda model, table: rs.log_probability(model, data_of(table)).value,
    "log_likelihood": lambda model, table: [rs.log_likelihood(model, table).value],
    "log_likelihood of a dataset": lambda model, table: [rs.log_likelihood(model, data_of(table)).value],
    "anomaly_scores": lambda model, table: rs.anomaly_scores(model, table, data_of(table)).p_value,
    "conditional_samples": lambda model, table: rs.conditional_samples(model, gaps(table), 1).probability,
    "flip_differences": rs.flip_differences,
    "quality of rows": lambda model, table: [rs.quality(model, table, n_samples=50).nearest_train.value],
    "sample": lambda model, table: rs.sample(model, len(table), 0, start=table).v,
    "sample from a dataset": lambda model, table: rs.sample(model, 8, 0, start=data_of(table)).v,
}
OF_MODELS = {
    "base of annealing": lambda model, table: base_data(model, whole(table)),
    "states that are known": lambda model, table: given_rows(model, whole(table)),
    "free_energy": lambda model, table: model.free_energy(table),
    "hidden_probability": lambda model, table: model.hidden_probability(table),
    "hidden_field": lambda model, table: model.hidden_field(table),
    "energy": lambda model, table: model.energy(table, np.zeros(3)),
    "mean_field": lambda model, table: [rs.mean_field(model, data=table).best.free_energy],
    "Modes.project": lambda model, table: rs.Modes.of(model).project(table, np.zeros((len(table), 3))).x,
    "evolution": lambda model, table: evolution([model], [0], table, n_chains=0).data_x_mean,
    "evolution of a dataset": lambda model, table: evolution([model], [0], data_of(table), n_chains=0).data_x_mean,
}


@pytest.mark.parametrize("name", ASKED)
def test_a_run_and_its_model_find_columns_by_name(run, frame, name):
    asked = ASKED[name]
    for model in (run, run.load()):
        if model is run and name.startswith(("log_likelihood", "sample")):
            continue
        wanted = np.asarray(asked(model, frame))
        np.testing.assert_array_equal(wanted, np.asarray(asked(model, backwards(frame))))
        with pytest.raises(DataError, match="'sings' has no match"):
            asked(model, frame.rename(columns={"votes": "sings"}))


@pytest.mark.parametrize("name", OF_MODELS)
def test_models_find_columns_by_name(run, frame, name):
    asked, model = OF_MODELS[name], run.load()
    np.testing.assert_array_equal(np.asarray(asked(model, frame)), np.asarray(asked(model, backwards(frame))))
    with pytest.raises(DataError, match="'sings' has no match"):
        asked(model, frame.rename(columns={"votes": "sings"}))


def test_it_would_matter(run, frame):
    """Without names the order is that of the units, and the reversed rows are other rows."""
    model = run.load()
    nameless = rs.RBM(model.weights, model.visible_bias, model.hidden_bias)
    given, turned = (nameless.free_energy(table) for table in (frame, backwards(frame)))
    assert float((given - turned).abs().max()) > 1.0
    torch.testing.assert_close(model.free_energy(frame.to_numpy()[:, ::-1]), turned)


def test_numbered_columns_are_no_names(run, frame):
    numbered = pd.DataFrame(frame.to_numpy())
    np.testing.assert_array_equal(run.load().free_energy(numbered), run.load().free_energy(frame))
    model = rs.RBM(*parameters(run.load()), columns=[str(k) for k in range(5)])
    np.testing.assert_array_equal(model.free_energy(numbered[[4, 3, 2, 1, 0]]), model.free_energy(numbered))
    np.testing.assert_array_equal(model.free_energy(frame), model.free_energy(numbered))


def parameters(model):
    return model.weights, model.visible_bias, model.hidden_bias


def test_names_stay_with_a_model(run, frame, tmp_path):
    model = run.load()
    model.save(tmp_path / "model.safetensors")
    rs.write_model(model, tmp_path / "written.safetensors")
    files = [tmp_path / "model.safetensors", tmp_path / "written.safetensors"]
    files.append(next(run.directory.glob("checkpoints/*.safetensors")))
    copies = [model.to(dtype=torch.float64), copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    for found in (*copies, *(rs.RBM.load(path) for path in files), *(rs.read_model(path) for path in files)):
        assert found.columns == NAMES
    assert model.transposed().columns is None
    assert rs.RBM.random(5, 3).columns is None
    with pytest.raises(ShapeError, match="5 visible units"):
        rs.RBM(*parameters(model), columns=NAMES[:3])


def test_damaged_names_are_said(run, tmp_path):
    from rbmscape.files import read_tensors, write_tensors

    run.load().save(tmp_path / "model.safetensors")
    tensors, metadata = read_tensors(tmp_path / "model.safetensors")
    for broken in ("[1, 2", "7"):
        write_tensors(tmp_path / "broken.safetensors", tensors, metadata | {"columns": broken})
        with pytest.raises(FormatError, match="names of columns"):
            rs.RBM.load(tmp_path / "broken.safetensors")


def test_going_on_with_other_columns_is_refused(run, frame):
    config = rs.TrainingConfig(n_hidden=3, epochs=1, batch_size=10, n_chains=10)
    for init in (run, run.load()):
        with pytest.raises(DataError, match="in another order"):
            rs.train(data_of(backwards(frame)), config, init=init, progress=False)
        with pytest.raises(DataError, match="'sings' has no match"):
            rs.train(data_of(frame.rename(columns={"votes": "sings"})), config, init=init, progress=False)
    data = replace(data_of(frame), columns=None)
    assert rs.train(data, config, init=run, progress=False).load().columns is None


def test_estimators_want_the_order_of_their_fit(frame):
    """As everywhere in scikit-learn, another order is refused."""
    rbm = BernoulliRBM(2, n_iter=1, random_state=0).fit(frame)
    labels = np.arange(len(frame)) % 2
    classifier = RBMClassifier(2, n_iter=1, random_state=0).fit(frame, labels)
    asked = [
        *(getattr(rbm, name) for name in ("transform", "score_samples", "log_likelihood", "score", "gibbs")),
        rbm.conditional_sample, rbm.partial_fit,
        *(getattr(classifier, name) for name in ("predict", "predict_proba", "predict_log_proba")),
        lambda table: classifier.score(table, labels),
    ]  # fmt: skip
    for method in asked:
        with pytest.raises(ValueError, match=r"[Ff]eature names"):
            method(backwards(frame))
    for model in (rbm.rbm_, rs.read_model(rbm)):
        assert model.columns == NAMES
        np.testing.assert_array_equal(model.free_energy(frame), model.free_energy(backwards(frame)))
    assert classifier.rbm_.columns is None
