"""The turn to the principal axes of a saddle: sign, inverse, unit vectors, and that it stands in one place."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

import rbmscape
from rbmscape.reciprocal.rotation import AXES, rotate, rotate_back

SOURCE = Path(rbmscape.__file__).parent


def test_the_energy_falls_along_u_and_rises_along_w():
    """E = -λ x y = -(λ/2)(u² - w²) about the saddle."""
    x, y = torch.tensor([0.3, -1.1], dtype=torch.float64), torch.tensor([0.8, 0.4], dtype=torch.float64)
    u, w = rotate(x, y)
    torch.testing.assert_close(-x * y, -(u**2 - w**2) / 2)
    torch.testing.assert_close(torch.stack(rotate_back(u, w)), torch.stack([x, y]))
    assert rotate(3.0, 5.0) == pytest.approx((8 / np.sqrt(2), 2 / np.sqrt(2)))


def test_axes_are_the_rows_of_the_rotation():
    x, y = np.array([0.2, -0.7]), np.array([1.3, 0.4])
    for name, coordinate in zip("uw", rotate(x, y), strict=True):
        np.testing.assert_allclose(AXES[name][0] * x + AXES[name][1] * y, coordinate)
    np.testing.assert_allclose(np.array(list(AXES.values())) @ np.array(list(AXES.values())).T, np.eye(2), atol=1e-15)


@pytest.mark.parametrize(
    ("pattern", "home"),
    [
        (r"math\.sqrt\(0\.5\)", "reciprocal/rotation.py"),
        (r'\(\s*"weights",\s*"visible_bias",\s*"hidden_bias",?\s*\)', "model/rbm.py"),
    ],
)
def test_a_fact_has_one_home(pattern, home):
    found = [
        str(path.relative_to(SOURCE))
        for path in sorted(SOURCE.rglob("*.py"))
        if re.search(pattern, path.read_text(encoding="utf-8"))
    ]
    assert found == [home]
