"""Recovery of a planted direction: exact strengths, the threshold of principal components, trained models, refusals."""

import math

import numpy as np
import pytest

from rbmscape import RBM, TrainingConfig, load_dataset, train
from rbmscape.errors import DataError, InputError, ShapeError
from rbmscape.symmetry.recovery import planted_strengths, recovery, recovery_theory, squared_overlaps


def replicas(n_samples, strength=6.0, n_visible=200, count=12):
    return [
        load_dataset("planted", n_visible=n_visible, rank=1, strengths=[strength], n_train=n_samples, n_test=0, seed=k)
        for k in range(count)
    ]


def test_strengths_are_the_square_of_the_dressed_value_and_the_samples_variance():
    data = load_dataset("planted", n_visible=256, rank=2, strengths=[10, 7], n_train=40_000, n_test=0, seed=3)
    strengths = planted_strengths(data)
    t = math.tanh(7 / (4 * math.sqrt(256)))
    alone = load_dataset("planted", n_visible=256, rank=1, strengths=[7], n_train=10, n_test=0)
    assert planted_strengths(alone)[0] == pytest.approx(256 * t**2 / (1 - t**2))
    assert planted_strengths(alone)[0] == pytest.approx((7 / 4) ** 2, rel=0.02)
    spins = 2.0 * data.train - 1
    for strength, direction in zip(strengths, data.attributes["directions"].T, strict=True):
        along = spins @ direction
        square, error = along.var(), (along - along.mean()).__pow__(2).std() / math.sqrt(len(along))
        # u C u = σ²(1 + ℓ) with unit total variance σ² = 1 - Σ ℓσ²/N; |z| < 4, false alarm 1e-4.
        noise = 1 / (1 + strengths.sum() / 256)
        assert abs(square - noise * (1 + strength)) < 4 * error


@pytest.mark.statistical
@pytest.mark.parametrize("n_samples", [100, 200, 400, 1600])
def test_overlap_of_the_data_follows_the_threshold(n_samples):
    """Within 4 standard errors over 12 replicas and 0.02 of the limit (false alarm below 1e-3 in all)."""
    found = recovery(replicas(n_samples))
    assert found.ratio == pytest.approx(200 / n_samples)
    assert found.theory == pytest.approx(recovery_theory(found.strength, found.ratio))
    assert abs(found.data.value - found.theory) < 4 * found.data.stderr + 0.02
    # Samples over units in place of units over samples would be seen.
    wrong = recovery_theory(found.strength, 1 / found.ratio)
    if n_samples != 200:
        assert abs(found.data.value - wrong) > 4 * found.data.stderr + 0.02


def test_no_overlap_below_the_threshold():
    found = recovery(replicas(50, strength=4.0))
    assert found.theory == 0.0
    assert found.data.value < 0.1


@pytest.mark.statistical
def test_linear_growth_ends_at_the_overlap_of_the_data_and_training_stays_near():
    """Three replicas at 128 units and samples: the mode at d = ½ against the data's eigenvector and the theory."""
    data = replicas(128, strength=8.0, n_visible=128, count=3)
    early, late = [], []
    for k, one in enumerate(data):
        config = TrainingConfig(
            n_hidden=20, learning_rate=0.2, schedule="constant", clip=0, averaging=0, weight_std=1e-3, batch_size=128,
            n_chains=128, gibbs_steps=1, epochs=110, early_checkpoints=0, checkpoint_epochs=tuple(range(5, 111, 5)),
            seed=k,
        )  # fmt: skip
        run = train(one, config, progress=False)
        models = list(run.models())
        values = [float(np.linalg.svd(rbm.weights.numpy())[1][0]) for rbm in models]
        early.append(models[int(np.searchsorted(values, 2.0))])
        late.append(models[-1])
    linear, trained = recovery(data, early), recovery(data, late)
    assert linear.model is not None
    assert trained.model is not None
    assert linear.model.value == pytest.approx(linear.data.value, abs=0.05)
    assert abs(linear.model.value - linear.theory) < 4 * linear.model.stderr + 0.03
    assert 0.5 < trained.model.value < 1.0


def test_bad_input_is_refused():
    data = replicas(20, n_visible=16, count=2)
    with pytest.raises(InputError, match="two or more data sets"):
        recovery(data[:1])
    with pytest.raises(InputError, match="one model each"):
        recovery(data, [RBM.random(16, 4)])
    with pytest.raises(InputError, match="like with like"):
        recovery([data[0], replicas(30, n_visible=16, count=1)[0]])
    with pytest.raises(InputError, match="run from 0 to 0"):
        recovery(data, direction=1)
    with pytest.raises(DataError, match="no planted directions"):
        recovery([load_dataset("bars-and-stripes")] * 2)
    with pytest.raises(ShapeError, match="at least r vectors"):
        squared_overlaps(RBM.random(16, 4), np.eye(15))
    with pytest.raises(InputError, match="strength"):
        recovery_theory(-1.0, 1.0)
