"""The sample grid: every state appears once, in order, in its place."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbmscape.errors import ShapeError
from rbmscape.figures.mosaic import columns_attr
from rbmscape.figures.sample_grid import MOST_PICTURES, MOST_ROWS, alt_text, compute, draw


def cells(picture, shape):
    """Cut a mosaic into its pictures; the gap follows from the shape."""
    gap = max(1, min(shape) // 14)
    padded = np.pad(picture, ((0, gap), (0, gap)), constant_values=0.5)
    rows = padded.reshape(-1, shape[0] + gap, padded.shape[1])
    for row in rows:
        for cell in row.reshape(shape[0] + gap, -1, shape[1] + gap).transpose(1, 0, 2):
            assert (cell[shape[0] :] == 0.5).all()
            assert (cell[:, shape[1] :] == 0.5).all()
            yield cell[: shape[0], : shape[1]]


@given(st.integers(1, 30), st.integers(5, 30), st.integers(5, 30), st.integers(0, 99))
def test_a_mosaic_holds_every_picture_once_in_order(n_samples, height, width, seed):
    states = np.random.default_rng(seed).integers(0, 2, (n_samples, height * width))
    figure = draw(compute(states, (height, width)))
    picture = figure.axes[0].images[0].get_array()
    found = list(cells(np.asarray(picture), (height, width)))
    for state, cell in zip(states, found, strict=False):
        np.testing.assert_array_equal(cell, state.reshape(height, width))
    assert len(found) >= n_samples
    assert all((cell == 0.5).all() for cell in found[n_samples:])


def test_data_without_shape_become_a_raster():
    states = np.random.default_rng(1).integers(0, 2, (17, 11))
    figure = draw(compute(states))
    panel = figure.axes[0]
    np.testing.assert_array_equal(panel.images[0].get_array(), states)
    assert panel.get_xlabel() == "visible unit"
    assert panel.get_ylabel() == "sample"
    figure.savefig(io.BytesIO(), format="png")


@pytest.mark.parametrize("shape", [(1, 12), (12, 1), (2, 60)])
def test_lines_that_are_called_images_become_a_raster_and_no_bar_code(shape):
    states = np.random.default_rng(1).integers(0, 2, (9, shape[0] * shape[1]))
    grid = compute(states, shape)
    np.testing.assert_array_equal(draw(grid).axes[0].images[0].get_array(), states)
    assert "raster" in alt_text(grid)


def test_columns_names_stand_under_a_raster():
    names = ("age\nover 40", "costs $x^{$", "a very long name that no axis has room for")
    figure = draw(compute(np.eye(3), columns=columns_attr(names)))
    figure.draw_without_rendering()
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == ["age over 40", r"costs \$x^{\$", "a very long name th…"]


def test_long_sets_are_cut_and_facts_are_kept():
    states = np.ones((1000, 6), dtype=np.uint8)
    grid, raster = compute(states, (2, 3), seed=4), compute(states)
    assert (grid.sizes["sample"], raster.sizes["sample"]) == (MOST_PICTURES, MOST_ROWS)
    assert grid.attrs["n_samples"] == 1000
    assert grid.attrs["seed"] == 4
    assert "400 samples as a grid" in alt_text(grid)
    assert "raster" in alt_text(raster)
    assert "100 %" in alt_text(raster)


@pytest.mark.parametrize(
    ("states", "shape"), [(np.zeros((0, 4)), None), (np.zeros(4), None), (np.zeros((2, 4)), (3, 2))]
)
def test_what_cannot_be_drawn_is_refused(states, shape):
    with pytest.raises(ShapeError):
        compute(states, shape)
