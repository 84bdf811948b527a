"""Arguments at the public edge: what is no whole number is refused in a sentence."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rbmscape.checks import check_count, check_mode, check_positive, is_whole
from rbmscape.errors import InputError


def test_whole_numbers_of_any_type():
    assert all(is_whole(value) for value in (3, np.int64(3), 3.0, np.float32(3)))
    assert not any(is_whole(value) for value in (1.5, "3", None, True, math.nan, math.inf, [3]))


def test_refusals_name_what_was_found():
    for wrong in ("first", None, 2.5, math.nan, -1, 4):
        with pytest.raises(InputError, match="does not exist, this model has 4 modes; pass 0 to 3"):
            check_mode(wrong, 4)
        with pytest.raises(InputError, match="n_steps must be a whole number of at least 5"):
            check_count("n_steps", wrong, 5)
    for wrong in (0, -1.0, math.nan, math.inf, "x", None):
        with pytest.raises(InputError, match="beta must be"):
            check_positive("beta", wrong)
    assert check_mode(3, 4) == 3
    assert check_count("n_steps", 5.0, 5) == 5
