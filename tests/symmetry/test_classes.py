"""Classes of images are told from labels, and turning modes changes them where the mode carries the class."""

import numpy as np
import pytest
import torch

from rbmscape import RBM, Modes
from rbmscape.errors import DataError
from rbmscape.symmetry.classes import ImageClasses, class_changes
from rbmscape.symmetry.hierarchy import mode_rotation, rotated_samples


def two_classes(n=400, flip=0.1, seed=3):
    """Rows near (1…1 0…0) and near (0…0 1…1) of 20 units, labelled by words."""
    generator = np.random.default_rng(seed)
    kind = generator.integers(0, 2, n)
    clean = np.repeat([[1, 0], [0, 1]], 10, axis=1)[kind]
    return (clean ^ (generator.random(clean.shape) < flip)).astype(np.uint8), np.array(["left", "right"])[kind]


def test_classes_are_learned_from_labels():
    rows, labels = two_classes()
    classes = ImageClasses.fit(rows, labels)
    other, names = two_classes(seed=4)
    assert classes.accuracy(other, names) > 0.98
    assert classes.accuracy(other, np.roll(names, 1)) < 0.7
    with pytest.raises(DataError, match=r"found 1 label"):
        ImageClasses.fit(rows, np.zeros(len(rows)))


def test_the_mode_that_carries_the_class_changes_it_and_random_flips_do_not():
    """Mode 1 couples the two halves with opposite signs to one hidden unit; 60 more units belong to no class."""
    rows, labels = two_classes()
    rows = np.hstack([rows, np.random.default_rng(1).integers(0, 2, (len(rows), 60), dtype=np.uint8)])
    weights = torch.zeros(80, 3, dtype=torch.float64)
    weights[:10, 0], weights[10:20, 0] = 4.0, -4.0
    weights[30, 1] = weights[40, 2] = 2.0
    bias = torch.zeros(80, dtype=torch.float64)
    bias[:10], bias[10:20] = -2.0, 2.0
    rbm = RBM(weights, bias, torch.zeros(3).double())
    h = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (200, 3)))
    modes, classes = Modes.of(rbm), ImageClasses.fit(rows, labels)
    turned = [rotated_samples(rbm, modes, h, mode_rotation(80, [plane]), pixels=False) for plane in ((0, 1), (1, 2))]
    (changed, scattered), (later, _) = (class_changes(one, classes) for one in turned)
    assert changed.value > scattered.value + 5 * scattered.stderr
    assert changed.value > 0.4
    assert later.value < 0.1
