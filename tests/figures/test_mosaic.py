"""Pictures side by side: every state in its place, grey between."""

from __future__ import annotations

import numpy as np

from rbmscape.figures.mosaic import BETWEEN, is_image, mosaic


def test_states_stand_row_by_row_with_grey_lines_and_places():
    states = np.arange(15, dtype=float).reshape(5, 3)  # five pictures of 3 x 1
    shown = mosaic(states, (3, 1), 3)
    assert shown.shape == (3 + 1 + 3, 3 + 2)
    for k, state in enumerate(states):
        np.testing.assert_array_equal(shown[4 * (k // 3) : 4 * (k // 3) + 3, 2 * (k % 3)], state)
    assert (shown[3] == BETWEEN).all()
    assert (shown[:, [1, 3]] == BETWEEN).all()
    assert (shown[4:, 4] == BETWEEN).all()


def test_data_without_height_and_width_are_no_images():
    assert is_image((28, 28))
    assert not is_image((0, 0))
