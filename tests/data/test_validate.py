"""Values are zeros and ones, or the refusal names the value, its place and the cure."""

from __future__ import annotations

import re

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rbmscape.data.validate import as_binary, as_labels, checked_image_shape
from rbmscape.errors import DataError, ShapeError

SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 9))
KINDS = ["bool", "uint8", "int8", "int64", "float16", "float32", "float64"]


@given(hnp.arrays(np.bool_, SHAPES), st.sampled_from(KINDS))
def test_every_number_type_gives_the_same_bits(bits, kind):
    table = as_binary(bits.astype(kind))
    assert table.values.dtype == np.uint8
    np.testing.assert_array_equal(table.values, bits)


@given(hnp.arrays(np.bool_, SHAPES), st.sampled_from([torch.bool, torch.uint8, torch.float32, torch.bfloat16]))
def test_torch_tensors_give_the_same_bits(bits, dtype):
    np.testing.assert_array_equal(as_binary(torch.from_numpy(bits).to(dtype)).values, bits)


@given(hnp.arrays(np.float64, SHAPES, elements=st.floats(-5, 5)), st.floats(-4, 4))
def test_threshold_is_inclusive_and_elementwise(values, threshold):
    values.flat[0] = threshold
    np.testing.assert_array_equal(as_binary(values, threshold=threshold).values, values >= threshold)


def test_input_is_copied_not_changed():
    given_values = np.array([[0.0, 3.0], [7.0, 1.0]])
    kept = given_values.copy()
    result = as_binary(given_values, threshold=2).values
    result[:] = 9
    np.testing.assert_array_equal(given_values, kept)


@given(hnp.arrays(np.bool_, SHAPES), st.data())
def test_a_wrong_value_is_named_with_its_place(bits, data):
    row = data.draw(st.integers(0, bits.shape[0] - 1))
    column = data.draw(st.integers(0, bits.shape[1] - 1))
    values = bits.astype(np.int64)
    values[row, column] = 7
    with pytest.raises(
        DataError, match=rf"value 7 at row {row}, column {column} \(counted from 0\) is neither 0 nor 1"
    ):
        as_binary(values)


def test_place_is_right_beyond_the_first_block_of_rows():
    values = np.zeros((9000, 3))
    values[8191, 2] = 0.25
    with pytest.raises(DataError, match=r"value 0\.25 at row 8191, column 2 'c'"):
        as_binary(values, columns=["a", "b", "c"])
    values[8191, 2] = np.nan
    with pytest.raises(DataError, match=r"row 8191, column 2 .*missing"):
        as_binary(values, threshold=0.5)


@pytest.mark.parametrize(
    ("values", "cure"), [([[0, 255]], "127.5"), ([[-1, 1]], "0"), ([[0.0, 0.5, 1.0]], "0.5"), ([[0, np.inf]], "0")]
)
def test_the_suggested_threshold_splits_the_range(values, cure):
    with pytest.raises(DataError, match=rf"threshold={re.escape(cure)} "):
        as_binary(values)
    bits = as_binary(values, threshold=float(cure) or 1e-9).values
    assert bits.min() == 0
    assert bits.max() == 1


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        (np.zeros((0, 4)), DataError, "empty, shape"),
        (np.zeros((4, 0)), DataError, "empty, shape"),
        ([], ShapeError, "1 axes"),
        ([0, 1, 1], ShapeError, "1 axes"),
        (np.zeros((2, 1, 2, 2)), ShapeError, "4 axes"),
        ([[0, 1], [1]], DataError, r"row 1 \(counted from 0\) has 1 values but row 0 has 2"),
        ([["0", "1"]], DataError, "entries such as"),
        ([[None, 1]], DataError, "object entries"),
        (np.array([[1 + 1j]]), DataError, "complex128"),
        (None, DataError, "object entries"),
        (np.ma.masked_equal([[0, 1], [5, 1]], 5), DataError, "row 1, column 0 .* is masked"),
        ([[0.0, np.nan]], DataError, "row 0, column 1 .*missing"),
    ],
)
def test_what_is_no_binary_rectangle_is_refused(values, error, words):
    with pytest.raises(error, match=words):
        as_binary(values)


@pytest.mark.parametrize("threshold", [np.nan, np.inf, "0.5", True])
def test_thresholds_are_finite_numbers(threshold):
    with pytest.raises(DataError, match="finite number"):
        as_binary([[0.2, 0.9]], threshold=threshold)


def test_image_axes_are_flattened_row_by_row():
    images = np.random.default_rng(0).integers(0, 2, (5, 3, 4))
    table = as_binary(images)
    assert table.image_shape == (3, 4)
    np.testing.assert_array_equal(table.values[2].reshape(3, 4), images[2])


@pytest.mark.parametrize("shape", [(3, 5), (12,), (0, 12), (-3, -4), (1.5, 8), (1, 2, 6), 12])
def test_image_shapes_fit_the_columns(shape):
    with pytest.raises(ShapeError, match="image_shape"):
        checked_image_shape(shape, 12)
    assert checked_image_shape((3, 4), 12) == (3, 4)


@given(st.lists(st.integers(-5, 300), min_size=1, max_size=20), st.sampled_from(["int16", "int64", "float64"]))
def test_labels_keep_their_values(labels, kind):
    found = as_labels(np.array(labels, dtype=kind), len(labels), "labels")
    assert found.dtype == np.int64
    assert found.tolist() == labels


def test_string_labels_stay_strings():
    for labels in (["a", "é"], np.array(["a", "é"], dtype=object), np.array([b"a", "é".encode()], dtype=object)):
        found = as_labels(labels, 2, "labels")
        assert found.dtype.kind == "U"
        assert found.tolist() == ["a", "é"]
    assert as_labels(np.array([b"x", b"yz"]), 2, "labels").tolist() == ["x", "yz"]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([1, 2, 3], r"shape \(3,\) for 2 samples"),
        ([0.5, 1], "0.5 is no whole"),
        ([np.nan, 1], "nan"),
        ([None, 1], "None"),
    ],
)
def test_unusable_labels_are_refused(labels, words):
    with pytest.raises(DataError, match=words):
        as_labels(labels, 2, "labels")


@pytest.mark.parametrize("shape", [("a", "b"), (2, None), (2.5, 2), (True, 4)])
def test_sides_of_an_image_are_whole_numbers(shape):
    with pytest.raises(ShapeError, match="two positive integers"):
        checked_image_shape(shape, 4)
