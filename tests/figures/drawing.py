"""What every picture must keep, whatever it shows."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from rbmscape.figures.style import save


class Drawn(NamedTuple):
    """A picture and its words."""

    figure: Figure
    words: str


def pixels(figure: Figure) -> np.ndarray:
    """(height, width, 3) of the drawn picture, first row on top."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def check_drawing(module, dataset, folder, n_panels=None) -> Drawn:
    """Draw, save and read back: picture and words follow from the saved data alone, and no panel is left empty.

    Parameters
    ----------
    n_panels : panels with anything in them, where their number is known
    """
    figure, words = module.draw(dataset), module.alt_text(dataset)
    saved = save(figure, dataset, folder, "figure")
    again = xr.load_dataset(saved.data, engine="h5netcdf")
    assert set(again.variables) == set(dataset.variables)
    assert "created" in again.attrs
    unknown = [
        str(name)
        for name, variable in dataset.data_vars.items()
        if variable.dtype.kind == "f" and "units" not in variable.attrs
    ]
    assert unknown == [], f"numbers without a unit: {unknown}"

    page = pixels(module.draw(dataset))  # afresh, since a layout settles further each time that it is drawn
    np.testing.assert_array_equal(pixels(module.draw(again)), page)
    assert module.alt_text(again) == words
    assert saved.png.read_bytes()[:4] == b"\x89PNG"
    assert saved.pdf.read_bytes()[:4] == b"%PDF"

    page = pixels(figure)
    panels = [axes for axes in figure.axes if axes.lines or axes.collections or axes.images]
    assert len(panels) == (n_panels or len(panels)) > 0
    for axes in panels:
        left, low, right, high = np.round(axes.get_window_extent().extents).astype(int)
        inside = page[page.shape[0] - high : page.shape[0] - low, left:right]
        assert inside.std(axis=(0, 1)).max() > 0, f"nothing is drawn in {axes}"

    assert re.search(r"\d", words), "the words say no number"
    assert not re.search(r"\b(nan|inf|None)\b", words), words
    return Drawn(figure, words)
