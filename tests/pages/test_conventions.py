"""The drawing of the conventions has the signs that its page states."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

import rbmscape as rs

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("conventions_picture", ROOT / "scripts" / "conventions_picture.py")
picture = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(picture)


def test_the_drawing_has_the_signs_of_the_page():
    rbm = picture.model()
    figure = picture.draw(rbm)
    plane, section = figure.axes
    curves = {line.get_linestyle(): line.get_data() for line in section.lines if len(line.get_xdata()) > 2}
    for style, sign in (("-", -1), ("--", 1)):
        distance, energy = curves[style]
        np.testing.assert_allclose(energy, sign * picture.SINGULAR_VALUE * distance**2 / 2, atol=1e-9)
    ends = {text.get_text(): np.array(text.xy) for text in plane.texts if text.get_text() in {"$u$", "$w$"}}
    modes = rs.Modes.of(rbm)
    saddle = np.array([float(modes.saddle_x[0]), float(modes.saddle_y[0])])
    np.testing.assert_allclose(ends["$u$"] - saddle, np.array([1, 1]) * picture.REACH / np.sqrt(2))
    np.testing.assert_allclose(ends["$w$"] - saddle, np.array([-1, 1]) * picture.REACH / np.sqrt(2))
    a0, b0 = modes.left[:, 0] @ rbm.visible_bias.double(), modes.right[:, 0] @ rbm.hidden_bias.double()
    np.testing.assert_allclose(saddle, [-float(b0) / picture.SINGULAR_VALUE, -float(a0) / picture.SINGULAR_VALUE])
