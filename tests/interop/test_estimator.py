"""The estimator beyond scikit-learn's own tests: conventions, exact answers, and what theirs lacks."""

from __future__ import annotations

import pickle
from contextlib import contextmanager

import numpy as np
import pytest
import scipy.sparse as sp

import rbmscape as rs

pytest.importorskip("sklearn", reason="needs scikit-learn")

from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import BernoulliRBM as theirs
from sklearn.pipeline import make_pipeline
from sklearn.utils._test_common.instance_generator import PER_ESTIMATOR_XFAIL_CHECKS
from sklearn.utils.estimator_checks import check_estimator

from rbmscape.sklearn import BernoulliRBM


@contextmanager
def fixed_global_generator():
    """scikit-learn's checks draw from NumPy's global generator, which is put back as it was."""
    state = np.random.get_state()  # noqa: NPY002
    yield
    np.random.set_state(state)  # noqa: NPY002


@pytest.fixture(scope="module")
def bars():
    return rs.load_dataset("bars-and-stripes", image_shape=(3, 3)).train.repeat(20, axis=0)


@pytest.fixture(scope="module")
def fitted(bars):
    return BernoulliRBM(16, n_iter=60, random_state=0).fit(bars)


@pytest.mark.filterwarnings("ignore:values between:UserWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_conventions_of_scikit_learn():
    known = PER_ESTIMATOR_XFAIL_CHECKS[theirs]  # a row's flipped bit depends on its place, in theirs as in ours
    assert len(known) == 2
    ours = BernoulliRBM(n_components=4, n_iter=2, random_state=0)
    with fixed_global_generator():
        results = check_estimator(ours, on_fail=None, on_skip=None, expected_failed_checks=known)
    failed = {result["check_name"]: result["exception"] for result in results if result["status"] == "failed"}
    assert not failed
    assert sum(result["status"] == "passed" for result in results) > 40


def test_log_likelihood_is_exact_for_small_models(fitted, bars):
    every = ((np.arange(2**9)[:, None] >> np.arange(9)) & 1).astype(float)
    assert np.exp(fitted.log_likelihood(every)).sum() == pytest.approx(1.0, abs=1e-5)
    assert fitted.log_partition().stderr == 0.0
    assert fitted.score(bars) == pytest.approx(float(rs.log_likelihood(fitted.rbm_, bars).value), abs=1e-5)
    # what there is to learn: bars and stripes are 14 states, independent units know nothing of them
    assert -np.log(14) - 1.0 < fitted.score(bars) < -np.log(14) + 1e-6
    assert fitted.score(bars) > -9 * np.log(2) + 2.0


def test_samples_are_the_model_s(fitted):
    """Frequencies of the 14 patterns against exact probabilities: chi-square over them and the rest."""
    drawn = fitted.sample(2000)
    patterns = rs.load_dataset("bars-and-stripes", image_shape=(3, 3)).train
    patterns = np.unique(patterns, axis=0).astype(float)
    expected = np.exp(fitted.log_likelihood(patterns))
    counts = np.array([(drawn == pattern).all(1).sum() for pattern in patterns])
    shares = np.append(expected, 1.0 - expected.sum())
    found = np.append(counts, len(drawn) - counts.sum())
    assert ((found - 2000 * shares) ** 2 / (2000 * shares)).sum() < 36.1  # chi-square with 14 degrees: 0.1 %


def test_conditional_samples_are_the_model_s(fitted):
    """Nine units of which six are known: 8 completions, against their exact conditional probabilities."""
    known = np.array([[1, 1, 1, 0, 0, 0, np.nan, np.nan, np.nan]])
    found = fitted.conditional_sample(known, 2000)
    assert found.shape == (1, 2000, 9)
    assert (found[0, :, :6] == known[0, :6]).all()
    rows = known.repeat(8, axis=0)
    rows[:, 6:] = (np.arange(8)[:, None] >> np.arange(3)) & 1
    shares = np.exp(fitted.log_likelihood(rows))
    shares /= shares.sum()
    counts = np.bincount(found[0, :, 6:] @ [1, 2, 4], minlength=8)
    assert ((counts - 2000 * shares) ** 2 / (2000 * shares)).sum() < 24.3  # chi-square with 7 degrees: 0.1 %
    marked = fitted.conditional_sample(np.zeros((2, 9)), 3, missing=np.arange(9) > 5)
    assert (marked[..., :6] == 0).all()
    with pytest.raises(rs.RbmscapeError, match="neither 0 nor 1"):
        fitted.conditional_sample(known + 1)


def test_doubt_about_samples_is_a_warning():
    """Two modes of hundreds of nats between which no chain moves."""
    stuck = BernoulliRBM(1, n_iter=1, random_state=0).fit(np.eye(2).repeat(30, axis=1))
    stuck.components_ = np.full((26, 60), 4.0)
    stuck.intercept_visible_, stuck.intercept_hidden_ = np.full(60, -52.0), np.full(26, -120.0)
    with pytest.warns(ConvergenceWarning, match="samples: not"):
        stuck.conditional_sample(np.full((1, 60), np.nan))


def test_a_handful_of_samples_is_in_equilibrium_as_well(fitted):
    """Warnings are errors here."""
    for n_samples in (1, 5):
        assert fitted.sample(n_samples).shape == (n_samples, 9)


def test_the_same_seed_gives_the_same_model(bars, fitted):
    again = BernoulliRBM(16, n_iter=60, random_state=0).fit(bars)
    assert np.array_equal(again.components_, fitted.components_)
    other = BernoulliRBM(16, n_iter=60, random_state=1).fit(bars)
    assert not np.array_equal(other.components_, fitted.components_)


def test_sparse_and_dense_are_the_same(bars, fitted):
    sparse = sp.csr_matrix(bars)
    again = BernoulliRBM(16, n_iter=60, random_state=0).fit(sparse)
    assert np.array_equal(again.components_, fitted.components_)
    assert np.allclose(again.transform(sparse), fitted.transform(bars))
    assert np.allclose(again.log_likelihood(sparse), fitted.log_likelihood(bars))


def test_pseudo_likelihood_is_unbiased(fitted, bars):
    """Mean over many flips against the sum over all units; five standard errors."""
    row = bars[:1].astype(float)
    every = row.repeat(9, axis=0)
    every[np.arange(9), np.arange(9)] = 1 - every[np.arange(9), np.arange(9)]
    exact = -np.logaddexp(0.0, -(fitted._free_energy(every) - fitted._free_energy(row))).sum()
    scores = BernoulliRBM.score_samples(clone_with_state(fitted, np.random.RandomState(1)), row.repeat(4000, axis=0))
    assert abs(scores.mean() - exact) < 5 * scores.std() / np.sqrt(len(scores))
    assert scores.std() > 0


def clone_with_state(estimator, state):
    copy = pickle.loads(pickle.dumps(estimator))
    copy.random_state = state
    return copy


def test_partial_fit_learns_and_survives_pickling(bars):
    rng = np.random.default_rng(0)
    straight, broken = (BernoulliRBM(16, random_state=0) for _ in range(2))
    batches = [bars[rng.permutation(len(bars))[:100]] for _ in range(400)]
    for number, batch in enumerate(batches):
        straight.partial_fit(batch)
        broken.partial_fit(batch)
        if number == 50:
            broken = pickle.loads(pickle.dumps(broken))
    assert np.array_equal(straight.components_, broken.components_)
    assert straight.score(bars) > -9 * np.log(2) + 1.5


def test_grey_values_are_probabilities():
    """Training on constant grey values ends at units with these means, to within the noise of 4000 draws."""
    means = np.array([0.1, 0.5, 0.8])
    model = BernoulliRBM(1, n_iter=30, batch_size=400, random_state=0).fit(np.tile(means, (4000, 1)))
    every = ((np.arange(8)[:, None] >> np.arange(3)) & 1).astype(float)
    learned = np.exp(model.log_likelihood(every)) @ every
    assert np.abs(learned - means).max() < 0.03
    with pytest.warns(UserWarning, match=r"values between -1 and 3 were clipped to \[0, 1\]"):
        BernoulliRBM(1, n_iter=1, random_state=0).fit([[-1.0, 0.0], [3.0, 1.0]])


def test_early_stopping_keeps_the_best(bars):
    noise = np.random.default_rng(0).integers(0, 2, (60, 12))
    stopped = BernoulliRBM(32, n_iter=300, early_stopping=True, n_iter_no_change=3, random_state=0).fit(noise)
    assert stopped.n_iter_ < 300
    full = BernoulliRBM(32, n_iter=300, random_state=0).fit(noise)
    fresh = np.random.default_rng(1).integers(0, 2, (2000, 12))
    assert stopped.score(fresh) > full.score(fresh) + 0.1


def test_pipeline_grid_search_clone_and_output(bars):
    labels = bars.sum(1) > 4
    names = make_pipeline(BernoulliRBM(6, n_iter=20, random_state=0), LogisticRegression()).fit(bars, labels)
    assert names.score(bars, labels) > 0.9
    search = GridSearchCV(BernoulliRBM(n_iter=40, random_state=0), {"n_components": [1, 6]}, cv=2)
    mixed = bars[np.random.default_rng(0).permutation(len(bars))]
    assert search.fit(mixed).best_params_ == {"n_components": 6}
    assert clone(search.best_estimator_).get_params() == search.best_estimator_.get_params()
    frame = search.best_estimator_.set_output(transform="pandas").transform(bars)
    assert list(frame.columns)[:2] == ["bernoullirbm0", "bernoullirbm1"]


@pytest.mark.slow
def test_processes_of_joblib_give_the_same(bars):
    found = []
    for n_jobs in (1, 2):
        search = GridSearchCV(BernoulliRBM(n_iter=5, random_state=0), {"n_components": [1, 6]}, cv=2, n_jobs=n_jobs)
        found.append(search.fit(bars).cv_results_["mean_test_score"])
    assert np.array_equal(*found)


def test_the_model_goes_on_in_this_package(fitted):
    assert np.array_equal(fitted.rbm_.weights.numpy(), rs.read_model(fitted).weights.numpy())
    assert rs.Modes.of(fitted.rbm_).singular_values.shape == (9,)
