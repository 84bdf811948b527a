"""The classifier: exact probabilities of classes, samples of a class, scikit-learn's conventions."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import scipy.sparse as sp

import rbmscape as rs

pytest.importorskip("sklearn", reason="needs scikit-learn")

from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import check_estimator

from rbmscape.sklearn import RBMClassifier


@pytest.fixture(scope="module")
def labelled():
    """Three classes of eight bits; the first bit follows the class, the others are nearly its patterns."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 600)
    means = np.array([[0.9, 0.9, 0.1, 0.1, 0.1, 0.5, 0.5, 0.5], [0.1, 0.1, 0.9, 0.9, 0.1, 0.5, 0.5, 0.5], [0.1] * 8])
    return (rng.random((600, 8)) < means[y]).astype(float), np.array(["a", "b", "c"])[y]


@pytest.fixture(scope="module")
def fitted(labelled):
    return RBMClassifier(8, n_iter=60, random_state=0).fit(*labelled)


@pytest.mark.filterwarnings("ignore:values between:UserWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_conventions_of_scikit_learn():
    state = np.random.get_state()  # noqa: NPY002 - the checks draw from the global generator
    results = check_estimator(RBMClassifier(n_components=2, n_iter=1, random_state=0), on_fail=None, on_skip=None)
    np.random.set_state(state)  # noqa: NPY002
    failed = {result["check_name"]: result["exception"] for result in results if result["status"] == "failed"}
    assert not failed
    assert sum(result["status"] == "passed" for result in results) > 50


def test_probabilities_are_those_of_the_joint_model(fitted, labelled):
    """Against the sum over all hidden states of exp(-E), class by class."""
    rows = labelled[0][:20]
    h = ((np.arange(2**8)[:, None] >> np.arange(8)) & 1).astype(float)
    weights = np.empty((len(rows), 3))
    for k in range(3):
        joint = np.hstack([rows, np.tile(np.eye(3)[k], (len(rows), 1))])
        energies = fitted.rbm_.energy(joint[:, None], h[None]).double().numpy()
        weights[:, k] = np.exp(-energies).sum(1)
    assert np.allclose(fitted.predict_proba(rows), weights / weights.sum(1, keepdims=True), atol=1e-5)
    assert np.allclose(np.exp(fitted.predict_log_proba(rows)).sum(1), 1.0)
    assert np.ptp(fitted.predict_proba(rows)) > 0.5


def test_it_finds_the_classes_as_well_as_can_be(fitted, labelled):
    """The best there is: the likeliest class under the distribution that the data came from."""
    X, y = labelled
    means = np.array([[0.9, 0.9, 0.1, 0.1, 0.1, 0.5, 0.5, 0.5], [0.1, 0.1, 0.9, 0.9, 0.1, 0.5, 0.5, 0.5], [0.1] * 8])
    best = (X @ np.log(means).T + (1 - X) @ np.log(1 - means).T).argmax(1)
    ceiling = (np.array(["a", "b", "c"])[best] == y).mean()
    assert fitted.score(X, y) > ceiling - 0.03
    shuffled = RBMClassifier(8, n_iter=20, random_state=0).fit(X, np.random.default_rng(1).permutation(y))
    assert shuffled.score(X, y) < 0.6


def test_samples_are_those_of_the_class(fitted):
    """Means of single bits given the class, against exact ones; five standard errors."""
    every = ((np.arange(2**8)[:, None] >> np.arange(8)) & 1).astype(float)
    for k, label in enumerate(fitted.classes_):
        joint = np.hstack([every, np.tile(np.eye(3)[k], (256, 1))])
        shares = np.exp(-fitted.rbm_.free_energy(joint).double().numpy())
        means = shares @ every / shares.sum()
        found = fitted.sample(label, 2000)
        assert found.shape == (2000, 8)
        assert (np.abs(found.mean(0) - means) < 5 * np.sqrt(means * (1 - means) / 2000)).all()
    with pytest.raises(rs.RbmscapeError, match="'d' is no class of this model"):
        fitted.sample("d")


def test_works_where_estimators_work(fitted, labelled):
    X, y = labelled
    again = clone(fitted).fit(sp.csr_matrix(X), y)
    assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).predict(X), fitted.predict(X))
    pipeline = make_pipeline(MinMaxScaler(), RBMClassifier(n_iter=20, random_state=0))
    search = GridSearchCV(pipeline, {"rbmclassifier__n_components": [1, 8]}, cv=2).fit(X, y)
    assert search.best_params_ == {"rbmclassifier__n_components": 8}
    stopped = RBMClassifier(8, n_iter=300, early_stopping=True, n_iter_no_change=3, random_state=0).fit(X, y)
    assert stopped.n_iter_ < 300
    assert fitted.rbm_.n_visible == 11


def test_digits_are_told_apart():
    """One split of scikit-learn's digits; the page has numbers of several."""
    X, y = load_digits(return_X_y=True)
    train, test, of_train, of_test = train_test_split(X / 16, y, test_size=0.3, random_state=0, stratify=y)
    found = RBMClassifier(100, n_iter=60, random_state=0).fit(train, of_train)
    assert found.score(test, of_test) > 0.9
