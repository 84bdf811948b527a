"""Sample galleries: samples come from the models, pictures show the samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rbmscape.data.dataset import Dataset
from rbmscape.data.load import load_dataset
from rbmscape.errors import ConfigError, InputError, ShapeError
from rbmscape.figures.gallery import alt_text, compute, draw
from rbmscape.model.rbm import RBM
from rbmscape.runs.samples import model_samples


def independent_pixels(probability: float) -> RBM:
    bias = math.log(probability / (1.0 - probability))
    return RBM(torch.zeros(9, 2), torch.full((9,), bias), torch.zeros(2))


@pytest.fixture(scope="module")
def images():
    return load_dataset("bars-and-stripes", image_shape=(3, 3))


def drawn(rbm, n_chains=20):
    return model_samples(rbm, n_chains=n_chains).at()


@pytest.mark.statistical
def test_samples_have_the_models_activity(images):
    # 9·400 independent bits: |z| > 4 has a false-alarm rate of 6e-5 a model; the models differ by far more.
    samples = {"rare": drawn(independent_pixels(0.1), 400), "common": drawn(independent_pixels(0.7), 400)}
    dataset = compute(samples, images, n_samples=400, seed=3)
    for label, probability in (("rare", 0.1), ("common", 0.7)):
        mean = float(dataset.state.sel(group=label).mean())
        error = math.sqrt(probability * (1 - probability) / (9 * 400))
        assert abs(mean - probability) < 4 * error
        assert abs(mean - (0.8 - probability)) > 4 * error, "the wrong model's activity must be told apart"
    assert np.isnan(float(dataset.samples_equilibrated.sel(group="data")))
    assert (dataset.samples_equilibrated.sel(group=["rare", "common"]) == 1).all()
    assert "nothing speaks against equilibrium" in alt_text(dataset)


def test_first_row_is_test_data(images):
    dataset = compute({"m": drawn(independent_pixels(0.5))}, images, n_samples=5)
    known = {row.tobytes() for row in images.test}
    assert all(row.tobytes() in known for row in dataset.state.sel(group="data").values.astype(np.uint8))


def test_images_are_drawn_side_by_side_with_gaps(images):
    dataset = compute({"m": drawn(independent_pixels(0.5))}, images, n_samples=4)
    figure = draw(dataset)
    shown = np.asarray(figure.axes[1].images[0].get_array())
    assert shown.shape == (3, 4 * 3 + 3)
    pictures = [shown[:, 4 * k : 4 * k + 3].ravel() for k in range(4)]
    assert np.array_equal(np.stack(pictures), dataset.state.sel(group="m").values)
    assert [panel.get_ylabel() for panel in figure.axes] == ["data", "m"]


def test_data_without_image_shape_are_drawn_as_rows(images):
    flat = Dataset.from_array(images.train)
    assert flat.image_shape is None
    dataset = compute({"m": drawn(independent_pixels(0.5))}, flat, n_samples=4)
    shown = np.asarray(draw(dataset).axes[1].images[0].get_array())
    assert np.array_equal(shown, dataset.state.sel(group="m").values)
    assert "Rows of 4 binary states, one a line, white for 1" in alt_text(dataset)


def test_bad_input(images):
    small = drawn(RBM(torch.zeros(4, 2), torch.zeros(4), torch.zeros(2)))
    with pytest.raises(ConfigError, match="gallery's n_samples cannot be 0"):
        compute({"m": small}, images, n_samples=0)
    with pytest.raises(InputError, match="found n_samples=21"):
        compute({"m": small}, images, n_samples=21)
    with pytest.raises(ShapeError, match="m has 4 visible units but the data 9"):
        compute({"m": small}, images, n_samples=2)
