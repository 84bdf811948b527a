"""Completed pictures: what was given stands in all rows, and completions are better than means where units depend."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

import rbmscape as rs
from rbmscape.errors import ConfigError, InputError
from rbmscape.figures.inpainting import MISSING, alt_text, compute, draw, pictures


def ordered(n_visible=16, n_hidden=14):
    """A ferromagnet: all units on, or all off."""
    weights = np.full((n_visible, n_hidden), 0.8)
    return rs.RBM(weights, -weights.sum(1) / 2, -weights.sum(0) / 2)


@pytest.fixture(scope="module")
def images():
    rows = np.repeat([[0], [1]], 16, 1).repeat(8, 0)
    return rs.Dataset.from_array(rows, rows, image_shape=(4, 4))


@pytest.mark.parametrize("part", ["lower", "random"])
def test_half_of_each_picture_is_completed_from_the_other(images, part):
    dataset = compute(ordered(), images, seed=1, n_samples=16, n_drawn=2, part=part)
    assert dataset.group.values.tolist() == ["data", "given", "draw 1", "draw 2", "probability"]
    state = {name: dataset.state.sel(group=name).values for name in dataset.group.values}
    missing = state["given"] == MISSING
    assert (missing.sum(1) == 8).all()
    for name in ("given", "draw 1", "draw 2", "probability"):
        assert (state[name][~missing] == state["data"][~missing]).all()
    assert dataset.attrs["correct"] == 1.0
    assert dataset.attrs["correct_by_means"] == 0.5
    assert "right for 100 % of the missing units, 50 % by the means" in alt_text(dataset)
    assert isinstance(draw(dataset), Figure)


def test_rows_that_are_no_images_are_drawn_too():
    found = rs.conditional_samples(ordered(), np.where(np.arange(16) < 9, 1.0, np.nan)[None], 3)
    dataset = pictures(found, None)
    assert dataset.group.values.tolist()[0] == "given"
    assert isinstance(draw(dataset), Figure)
    assert "right for" not in alt_text(dataset)


def test_what_is_not_there_is_refused(images):
    with pytest.raises(InputError, match="16 rows to complete"):
        compute(ordered(), images, n_samples=17)
    with pytest.raises(ConfigError):
        compute(ordered(), images, part="left")
