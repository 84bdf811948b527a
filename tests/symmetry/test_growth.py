"""Growth of the modes of small weights: the closed form, runs on planted data, errors that cover, and refusals."""

from functools import partial

import numpy as np
import pytest
import torch

from rbmscape import RBM, TrainingConfig, load_dataset, train
from rbmscape.errors import DataError, InputError, MissingInputError, ShapeError
from rbmscape.model.exact import exact_gradient
from rbmscape.runs.schedule import exposure
from rbmscape.symmetry.growth import LinearGrowth, linear_growth, measured_growth


def planted_run(seed, learning_rate=0.05, n_hidden=100):
    data = load_dataset("planted", n_visible=32, rank=2, strengths=[8, 6], n_train=4000, n_test=1, seed=seed)
    config = TrainingConfig(
        n_hidden=n_hidden, learning_rate=learning_rate, schedule="constant", clip=0, averaging=0, epochs=40,
        gibbs_steps=2, batch_size=500, n_chains=500, early_checkpoints=6, checkpoint_epochs=tuple(range(1, 41)),
        seed=seed,
    )  # fmt: skip
    run = train(data, config, progress=False)
    return data, run, exposure(config, run.updates, config.epochs * run.updates_per_epoch)


def measured(data, run, spent, growth=None):
    models = [partial(run.load, update, averaged=False) for update in run.updates]
    return measured_growth(models, run.updates, spent, growth or linear_growth(data.train, 2))


def test_exact_centred_gradient_is_linear_in_small_weights():
    """Every entry of the exact gradient of a small model against (C - D) W / 4; the error falls with W."""
    generator = np.random.default_rng(0)
    data = (generator.random((60, 6)) < generator.random(6)).astype(float)
    data[0], data[1] = 0, 1
    mean = data.mean(0)
    errors = []
    for scale in (1e-2, 1e-3):
        weights = scale * generator.standard_normal((6, 4))
        rbm = RBM(weights, np.log(mean / (1 - mean)), -mean @ weights)
        plain = exact_gradient(rbm, data)
        hidden = rbm.hidden_probability(data).mean(0)
        centred = plain.correlation - torch.outer(torch.tensor(mean), plain.hidden) - torch.outer(plain.visible, hidden)
        covariance = np.cov(data.T, bias=True)
        expected = (covariance - np.diag(np.diag(covariance))) @ weights / 4
        errors.append(np.abs(centred.numpy() - expected).max() / np.abs(expected).max())
    assert errors[0] < 0.05
    assert errors[1] < 0.2 * errors[0]


def test_growth_of_a_planted_run_is_predicted_within_five_percent():
    data, run, spent = planted_run(seed=1, learning_rate=0.1)
    found = measured(data, run, spent)
    for rate, expected in zip(found.rates, found.predicted, strict=True):
        assert rate.value == pytest.approx(expected, rel=0.05)
        assert rate.stderr < 0.04 * expected
        assert abs(rate.z_score(expected)) < 4
    # A factor of two in the theory, or variances left in C, would be seen.
    wrong = linear_growth(data.train, 2)
    with_variances = (wrong.eigenvalues + wrong.independent) / 4
    assert all(abs(rate.z_score(bad)) > 10 for rate, bad in zip(found.rates, with_variances, strict=True))
    # The mode stops growing where its dressed value is of order one, and the faster mode first.
    late = found.dressed[np.searchsorted(found.updates, found.left[0])]
    assert 0.4 < late < 1.6
    assert not found.left[1] < found.left[0]


@pytest.mark.slow
@pytest.mark.statistical
def test_error_of_the_growth_covers():
    """Twelve seeds, two modes: |z| < 3 in all, which exact normal errors break once in 16 times; the second-order part
    makes the errors wide, so that a mean z² above 2.5 (or below 0.05) would be a wrong error."""
    z = []
    for seed in range(12):
        found = measured(*planted_run(seed))
        z += [rate.z_score(expected) for rate, expected in zip(found.rates, found.predicted, strict=True)]
    assert np.abs(z).max() < 3
    assert 0.05 < np.mean(np.square(z)) < 2.5


def test_exposure_follows_warmup_and_decay_and_refuses_adam():
    config = TrainingConfig(learning_rate=0.5, warmup=3, schedule="linear", decay_start=0.5, momentum=0.5)
    rates = 0.5 * np.array([0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 0.8, 0.6, 0.4, 0.2])
    np.testing.assert_allclose(exposure(config, (0, 3, 10), 10), 2 * np.array([0.0, rates[:3].sum(), rates.sum()]))
    with pytest.raises(InputError, match="no flow time"):
        exposure(TrainingConfig(optimizer="adam"), (0, 1), 10)


def test_bad_input_is_refused():
    growth = linear_growth(np.eye(6), 2)
    assert isinstance(growth, LinearGrowth)
    weak, strong = RBM.random(6, 4, std=0.01), RBM.random(6, 4, std=30.0)
    with pytest.raises(DataError, match="two samples"):
        linear_growth(np.zeros(5))
    with pytest.raises(InputError, match="n_modes must be from 1 to 6"):
        linear_growth(np.eye(6), 7)
    with pytest.raises(MissingInputError, match="keep earlier ones"):
        measured_growth([weak, strong], [0, 1], [0, 1], growth)
    with pytest.raises(ShapeError, match="one exposure a model"):
        measured_growth([weak], [0], [0], growth)
    with pytest.raises(InputError, match="must rise"):
        measured_growth([weak, weak], [1, 0], [0, 1], growth)
    with pytest.raises(ShapeError, match="6 visible units"):
        measured_growth([RBM.random(5, 4), weak], [0, 1], [0, 1], growth)
