"""The first updates on MNIST: modes become principal components under plain gradient ascent, and later under Adam."""

import math

import numpy as np
import pytest

from rbmscape import Modes, TrainingConfig, load_dataset, train
from rbmscape.symmetry.principal import align_with_components, principal_components


@pytest.mark.slow
def test_plain_gradient_ascent_finds_principal_components_and_adam_a_uniform_mode_first(tmp_path):
    dataset = load_dataset("mnist")
    components = principal_components(dataset.train, 3)
    common = {"n_hidden": 200, "gradient": "plain", "epochs": 1, "early_checkpoints": 40, "averaging": 0}
    best, uniform = {}, {}
    for optimizer, rate in (("sgd", 0.05), ("adam", 1e-3)):
        config = TrainingConfig(**common, optimizer=optimizer, learning_rate=rate, schedule="constant")
        run = train(dataset, config, tmp_path / optimizer, progress=False, until_update=60)
        early = [Modes.of(run.load(update)) for update in run.updates if update < 60]
        overlaps = [np.diagonal(align_with_components(modes, components).overlaps) for modes in early]
        best[optimizer] = max(row.min() for row in overlaps)
        uniform[optimizer] = max(float(modes.right[:, 0].sum().abs()) / math.sqrt(200) for modes in early[3:15])
    assert best["sgd"] > 0.9
    assert best["adam"] < 0.85
    assert uniform["adam"] > 0.85
    assert uniform["sgd"] < 0.7
