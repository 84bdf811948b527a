"""Data at other sizes."""

import numpy as np
import pytest

from rbmscape import Dataset, load_dataset
from rbmscape.data.sizes import rescaled, subsampled
from rbmscape.errors import DataError


def test_images_are_averaged_by_area():
    image = np.zeros((6, 6), dtype=np.uint8)
    image[:3, :3] = 1
    image[3:, 3] = 1
    data = Dataset.from_array(image[None], name="block")
    np.testing.assert_array_equal(rescaled(data, (2, 2)).train, [[1, 0, 0, 0]])
    np.testing.assert_array_equal(rescaled(data, (6, 6)).train, image.reshape(1, 36))
    # A third of a pixel counts as that: of 4x4 areas of 1.5 pixels, (1, 1) is half covered in both directions.
    np.testing.assert_array_equal(rescaled(data, (4, 4)).train[0].reshape(4, 4)[:2, :2], 1)
    np.testing.assert_array_equal(rescaled(data, (4, 4)).train[0].reshape(4, 4)[3], [0, 0, 1, 0])


def test_rescaled_digits_keep_labels_and_mean():
    data = load_dataset("mnist", n_train=500, n_test=50)
    small = rescaled(data, (14, 14))
    assert small.train.shape == (500, 196)
    assert small.image_shape == (14, 14)
    np.testing.assert_array_equal(small.train_labels, data.train_labels)
    assert small.train.mean() == pytest.approx(data.train.mean(), rel=0.25)


def test_fewer_units_are_a_part_of_more():
    data = load_dataset("bars-and-stripes", image_shape=(4, 4))
    five, nine = subsampled(data, 5, seed=3), subsampled(data, 9, seed=3)
    columns = {tuple(column) for column in nine.train.T}
    assert {tuple(column) for column in five.train.T} <= columns
    np.testing.assert_array_equal(subsampled(data, 16).train, data.train)


def test_impossible_sizes_are_refused():
    data = load_dataset("bars-and-stripes")
    with pytest.raises(DataError, match="cannot be averaged"):
        rescaled(data, (5, 4))
    with pytest.raises(DataError, match="no images"):
        rescaled(load_dataset("planted", n_train=5, n_test=1), (2, 2))
    with pytest.raises(DataError, match="17 of 16 units"):
        subsampled(data, 17)
