"""Sample galleries: samples come from the models, pictures show the samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rbmscape.data.dataset import Dataset
from rbmscape.data.load import load_dataset
from rbmscape.errors import InputError, ShapeError
from rbmscape.figures.gallery import alt_text, compute, draw
from rbmscape.model.rbm import RBM


def independent_pixels(probability: float) -> RBM:
    bias = math.log(probability / (1.0 - probability))
    return RBM(torch.zeros(9, 2), torch.full((9,), bias), torch.zeros(2))


@pytest.fixture(scope="module")
def images():
    return load_dataset("bars-and-stripes", image_shape=(3, 3))


@pytest.mark.statistical
def test_samples_have_the_models_activity(images):
    # 9·400 independent bits: |z| > 4 has a false-alarm rate of 6e-5 a model; the models differ by far more.
    models = {"rare": independent_pixels(0.1), "common": independent_pixels(0.7)}
    dataset = compute(models, images, n_samples=400, n_steps=1, seed=3)
    for label, probability in (("rare", 0.1), ("common", 0.7)):
        mean = float(dataset.state.sel(group=label).mean())
        error = math.sqrt(probability * (1 - probability) / (9 * 400))
        assert abs(mean - probability) < 4 * error
        assert abs(mean - (0.8 - probability)) > 4 * error, "the wrong model's activity must be told apart"


def test_models_do_not_share_random_numbers(images):
    twins = {"a": independent_pixels(0.5), "b": independent_pixels(0.5)}
    dataset = compute(twins, images, n_samples=50, n_steps=2, seed=1)
    same = float((dataset.state.sel(group="a") == dataset.state.sel(group="b")).mean())
    # 450 fair coincidences: standard deviation 0.024; shared random numbers would give 1.
    assert abs(same - 0.5) < 0.1
    again = compute(twins, images, n_samples=50, n_steps=2, seed=1)
    assert np.array_equal(again.state, dataset.state)


def test_first_row_is_test_data(images):
    dataset = compute({"m": independent_pixels(0.5)}, images, n_samples=5, n_steps=1)
    known = {row.tobytes() for row in images.test}
    assert all(row.tobytes() in known for row in dataset.state.sel(group="data").values.astype(np.uint8))


def test_images_are_drawn_side_by_side_with_gaps(images):
    dataset = compute({"m": independent_pixels(0.5)}, images, n_samples=4, n_steps=1)
    figure = draw(dataset)
    shown = np.asarray(figure.axes[1].images[0].get_array())
    assert shown.shape == (3, 4 * 3 + 3)
    pictures = [shown[:, 4 * k : 4 * k + 3].ravel() for k in range(4)]
    assert np.array_equal(np.stack(pictures), dataset.state.sel(group="m").values)
    assert [panel.get_ylabel() for panel in figure.axes] == ["data", "m"]


def test_data_without_image_shape_are_drawn_as_rows(images):
    flat = Dataset.from_array(images.train)
    assert flat.image_shape is None
    dataset = compute({"m": independent_pixels(0.5)}, flat, n_samples=4, n_steps=1)
    shown = np.asarray(draw(dataset).axes[1].images[0].get_array())
    assert np.array_equal(shown, dataset.state.sel(group="m").values)
    assert "Rows of 4 binary pictures" in alt_text(dataset)


def test_bad_input(images):
    with pytest.raises(InputError, match="at least one sample"):
        compute({}, images, n_samples=0)
    with pytest.raises(ShapeError, match="m has 4 visible units but the data 9"):
        compute({"m": RBM(torch.zeros(4, 2), torch.zeros(4), torch.zeros(2))}, images, n_samples=2, n_steps=1)
