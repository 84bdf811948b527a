"""What every figure shares: palette, sizes in print, panel letters, and saving pictures.

Figures are plain ``matplotlib.figure.Figure`` objects on an Agg canvas.  Nothing here touches pyplot, a display or the
caller's ``rcParams``, so that ``draw`` functions can run in threads, workers and web servers alike.  Matplotlib is
imported when something is drawn, not with this module, so that finding and computing figures stays light.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rbmscape.errors import InputError
from rbmscape.figures.datasets import write_dataset
from rbmscape.files import atomic_file

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "CLASS_COLOURS",
    "COLUMN_WIDTH",
    "DIVERGING",
    "MARKERS",
    "OKABE_ITO",
    "PAGE_WIDTH",
    "SEQUENTIAL",
    "AxesGrid",
    "SavedFigure",
    "colour",
    "goes_on",
    "is_cut",
    "legend_below",
    "log_axis",
    "marker",
    "new_figure",
    "panel_letters",
    "print_style",
    "save",
    "save_picture",
    "symlog_axis",
]

AxesGrid: TypeAlias = NDArray[np.object_]

OKABE_ITO = (
    "#0072B2",  # blue
    "#D55E00",  # vermillion
    "#009E73",  # bluish green
    "#CC79A7",  # reddish purple
    "#E69F00",  # orange
    "#56B4E9",  # sky blue
    "#F0E442",  # yellow
    "#000000",  # black
)
"""Okabe and Ito's eight colours that people with any colour vision tell apart, the readable ones first."""

CLASS_COLOURS = (*OKABE_ITO, "#999999", "#661100")
"""Ten colours for the ten digits; use `marker` as well where points overlap."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")

SEQUENTIAL = "viridis"
DIVERGING = "PuOr"  # safe for colour-blind readers, unlike red-green maps

COLUMN_WIDTH = 3.4
PAGE_WIDTH = 7.0
"""Widths of a journal's column and page, inches."""

_CUT = "goes-on"

_DRAWING = threading.RLock()

_STYLE: Any = {
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.5,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "errorbar.capsize": 2.0,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "image.cmap": SEQUENTIAL,
    "image.interpolation": "nearest",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "pdf.fonttype": 42,
    "mathtext.fontset": "dejavusans",
}


@contextmanager
def print_style() -> Iterator[None]:
    """Context (or decorator, ``@print_style()``) under which artists take the package's print sizes and colours.

    `new_figure` creates its axes under it.  A ``draw`` function that calls ``set_title``, ``legend``, ``errorbar`` or
    ``imshow`` should be decorated with it, because Matplotlib reads those defaults when the artist is made.  The
    settings are the process's, so one thread draws at a time.
    """
    import matplotlib
    from matplotlib.rcsetup import cycler

    with _DRAWING, matplotlib.rc_context(_STYLE | {"axes.prop_cycle": cycler(color=OKABE_ITO)}):
        yield


def new_figure(
    nrows: int = 1,
    ncols: int = 1,
    size: tuple[float, float] | None = None,
    **subplots: Any,
) -> tuple[Figure, AxesGrid]:
    """Make a figure with a grid of axes, in print size.

    Parameters
    ----------
    nrows, ncols : shape of the grid
    size : width and height in inches; default a column's width a panel, at most the page's width
    **subplots : passed to ``Figure.subplots`` (``sharex``, ``width_ratios``, ...)

    Returns
    -------
    The figure, and an (nrows, ncols) object array of its Axes (two-dimensional even for one panel)
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if size is None:
        width = min(COLUMN_WIDTH * ncols, PAGE_WIDTH)
        size = (width, width / ncols * 0.78 * nrows)
    with print_style():
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(nrows, ncols, squeeze=False, **subplots)
    return figure, axes


def colour(index: int) -> str:
    """Colour of the index-th series, cyclic."""
    return OKABE_ITO[index % len(OKABE_ITO)]


def marker(index: int) -> str:
    """Marker of the index-th series, cyclic; it repeats with another period than `colour` does."""
    return MARKERS[index % len(MARKERS)]


def goes_on(*artists: Artist) -> None:
    """Declare that artists go on beyond the limits of their panel: a reader needs the part that is inside only."""
    for artist in artists:
        artist.set_gid(_CUT)


def is_cut(artist: Artist) -> bool:
    """Whether an artist may go on beyond the limits of its panel."""
    return artist.get_gid() == _CUT


def legend_below(figure: Figure, *panels: Axes, **keywords: Any) -> None:
    """One legend for all panels under the figure, where it covers no data, in as many columns as fit its width.

    Parameters
    ----------
    *panels : whose labelled artists it names, each label once
    **keywords : for ``Figure.legend``
    """
    found: dict[str, Any] = {}
    for panel in panels:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if not found:
        return
    with print_style():
        for columns in range(len(found), 0, -1):
            legend = figure.legend(
                found.values(), found, loc="outside lower center", ncols=columns, columnspacing=1.2, **keywords
            )
            if columns == 1 or legend.get_window_extent().width < 0.9 * figure.bbox.width:
                return
            legend.remove()


def log_axis(panel: Axes, which: Literal["x", "y"] = "y") -> None:
    """Logarithmic scale whose numbers are plain: 60 and 0.5, and powers of ten where they are far from 1."""
    from matplotlib.ticker import LogFormatterSciNotation

    class Plain(LogFormatterSciNotation):
        """As the usual labels, but for what they write as 6 × 10¹."""

        def __call__(self, value: float, pos: int | None = None) -> str:
            usual = str(super().__call__(value, pos))
            return f"{value:g}" if usual and (9e-4 < value < 9e3 or "times" in usual) else usual

    axis = panel.xaxis if which == "x" else panel.yaxis
    getattr(panel, f"set_{which}scale")("log")
    axis.set_major_formatter(Plain())
    axis.set_minor_formatter(Plain(minor_thresholds=(1.3, 0.4)))


def symlog_axis(panel: Axes, linear: float) -> None:
    """Vertical axis that is logarithmic beyond ±linear and linear between, as far as what is drawn goes beyond."""
    low, high = panel.get_ylim()
    furthest = max(-low, high)
    if furthest < 3.0 * linear:
        return
    panel.set_yscale("symlog", linthresh=linear)
    powers = [linear * 10.0**k for k in range(1 + int(np.log10(furthest / linear)))]
    step = max(1, -(-len(powers) // 3))
    ticks = [0.0, *(sign * value for value in powers[::step] for sign in (-1.0, 1.0))]
    panel.set_yticks([tick for tick in ticks if low <= tick <= high])
    panel.yaxis.set_major_formatter("{x:g}")
    panel.set_yticks([], minor=True)
    panel.set_ylim(low, high)


def panel_letters(axes: Iterable[Axes] | AxesGrid, start: str = "a") -> None:
    """Write (a), (b), ... above the left end of each panel, in reading order."""
    flat = axes.ravel() if isinstance(axes, np.ndarray) else list(axes)
    with print_style():
        for offset, panel in enumerate(flat):
            panel.set_title(f"({chr(ord(start) + offset)})", loc="left", fontweight="bold")


@dataclass(frozen=True, slots=True)
class SavedFigure:
    """Where the three files of one figure lie."""

    png: Path
    pdf: Path
    data: Path


def save(figure: Figure, dataset: xr.Dataset, directory: str | os.PathLike[str], name: str) -> SavedFigure:
    """Write NAME.png (200 dots an inch), NAME.pdf and the data behind them, NAME.nc, each at once or not at all.

    Parameters
    ----------
    figure : what ``draw`` returned
    dataset : what ``compute`` returned; numeric variables are compressed
    directory : made if missing
    name : file name without suffix

    Raises
    ------
    InputError : the name is empty or contains a path separator
    DiskError : a file cannot be written
    """
    png, pdf = save_picture(figure, directory, name)
    data = png.with_name(f"{name}.nc")
    write_dataset(dataset, data)
    return SavedFigure(png, pdf, data)


def save_picture(figure: Figure, directory: str | os.PathLike[str], name: str) -> tuple[Path, Path]:
    """Write NAME.png and NAME.pdf; errors as for `save`.

    Returns
    -------
    Their paths
    """
    if not name or Path(name).name != name:
        raise InputError(f"a figure's name must be a plain file name, found {name!r}; pass the folder as directory")
    png, pdf = (Path(directory) / f"{name}.{kind}" for kind in ("png", "pdf"))
    figure.draw_without_rendering()  # panels of fixed shape move once more after their labels have found room
    with atomic_file(png) as handle:
        figure.savefig(handle, format="png", dpi=200)
    with atomic_file(pdf) as handle:
        figure.savefig(handle, format="pdf", metadata={"CreationDate": None})
    return png, pdf
