"""What is wrong with the layout of a drawn figure, found from the bounding boxes of its artists.

All boxes are in pixels of the canvas.  A rotated text is a parallelogram, not its upright box, so that slanted tick
labels may stand close to each other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import Collection, LineCollection, PathCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import StepPatch
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from rbmscape.figures.style import is_cut

SAVED_DPI = 200
LONGEST = 1.15
"""Length of an axis' label in units of the axis."""
SLACK = 0.12
"""Share of a text's height by which boxes may touch: they hold room for descenders that most words lack."""
DIMENSIONAL = re.compile(
    r"energ|potential|curvature|singular value|relaxation rate|frequen|likelihood|barrier|temperature|\$?\\?λ",
    re.IGNORECASE,
)
"""Words of quantities that have a unit."""
UNIT = re.compile(r"\(.+\)|/")
NUMBER = re.compile(r"[−-]?[\d.]+|\$\\mathdefault.*")


class Box(NamedTuple):
    """A text and its corners, (4, 2), in order around it."""

    text: Text
    corners: np.ndarray

    @property
    def words(self) -> str:
        return self.text.get_text()


def faults(figure: Figure) -> list[str]:
    """One sentence a fault; empty for a figure that is as it should be."""
    figure.set_dpi(SAVED_DPI)
    for _ in range(2 if any(axes.images for axes in figure.axes) else 1):  # panels of fixed shape settle, as when saved
        figure.draw_without_rendering()
    boxes = [_box(text) for text in _texts(figure)]
    found = list(_overlaps(boxes))
    found += _outside(figure, boxes)
    for axes in _panels(figure):
        found += _cut(axes)
        found += _clipped_markers(axes)
        found += _unlabelled(figure, axes)
        found += _covered_by_text(axes)
    found += _legends(figure)
    return found


def _panels(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.get_visible()]


def _texts(figure: Figure) -> Iterator[Text]:
    """Visible words: tick labels within the limits, titles, labels, legends, notes."""
    ticks = {}
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            room = 1e-6 * (high - low)
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                shown = axes.axison and axes.get_visible() and low - room <= tick.get_loc() <= high + room
                for label in (tick.label1, tick.label2):
                    ticks[label] = shown and label.get_visible() and tick.get_visible()
            ticks[axis.label] = ticks[axis.offsetText] = axes.axison and axes.get_visible() and axis.get_visible()
    for text in figure.findobj(Text):
        if text.get_text().strip() and text.get_visible() and ticks.get(text, True) and _within(text):
            yield text


def _within(text: Text) -> bool:
    """Whether a clipped text is inside its clip box at all, and its axes are shown."""
    axes = text.axes
    if axes is not None and not axes.get_visible():
        return False
    return not (text.get_clip_on() and text.clipbox is not None and not text.clipbox.overlaps(text.get_window_extent()))


def _box(text: Text) -> Box:
    upright = text.get_window_extent()
    angle = text.get_rotation()
    if angle % 90:
        text.set_rotation(0)
        flat = text.get_window_extent()
        text.set_rotation(angle)
        width, height = flat.width, flat.height
    else:
        angle, width, height = 0.0, upright.width, upright.height
    shrink = SLACK * min(width, height)
    half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [(width - shrink) / 2, (height - shrink) / 2]
    turn = math.radians(angle)
    matrix = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    middle = np.array([upright.x0 + upright.x1, upright.y0 + upright.y1]) / 2
    return Box(text, middle + half @ matrix.T)


def _meet(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two convex quadrangles have an interior in common: no edge's normal separates them."""
    for quad in (one, other):
        edges = np.roll(quad, -1, axis=0) - quad
        for normal in np.stack([-edges[:, 1], edges[:, 0]], axis=1)[:2]:
            first, second = one @ normal, other @ normal
            if first.max() <= second.min() or second.max() <= first.min():
                return False
    return True


def _overlaps(boxes: list[Box]) -> Iterator[str]:
    for index, one in enumerate(boxes):
        for other in boxes[index + 1 :]:
            if _meet(one.corners, other.corners):
                yield f"the text {one.words!r} lies over {other.words!r}"


def _outside(figure: Figure, boxes: list[Box]) -> Iterator[str]:
    width, height = figure.bbox.size
    for box in boxes:
        (left, low), (right, high) = box.corners.min(axis=0), box.corners.max(axis=0)
        if left < -0.5 or low < -0.5 or right > width + 0.5 or high > height + 0.5:
            yield f"the text {box.words!r} leaves the canvas"


def _points(axes: Axes) -> Iterator[tuple[object, np.ndarray]]:
    """Artists of data and their finite vertices (n, 2) in data coordinates."""
    for line in axes.lines:
        if line.get_visible() and line.get_transform() == axes.transData:
            yield line, _finite(np.column_stack([line.get_xdata(orig=False), line.get_ydata(orig=False)]))
    for collection in axes.collections:
        if isinstance(collection, PathCollection) and collection.get_offset_transform() == axes.transData:
            yield collection, _finite(np.ma.filled(collection.get_offsets(), np.nan))
        elif isinstance(collection, LineCollection | PolyCollection) and collection.get_transform() == axes.transData:
            paths = [path.vertices for path in collection.get_paths()]
            yield collection, _finite(np.concatenate(paths) if paths else np.empty((0, 2)))
    for patch in axes.patches:
        if isinstance(patch, StepPatch):
            heights, edges, _ = patch.get_data()
            yield patch, _finite(np.column_stack([np.repeat(edges, 2)[1:-1], np.repeat(heights, 2)]))


def _finite(points: np.ndarray) -> np.ndarray:
    points = np.asarray(points, dtype=float)
    return points[np.isfinite(points).all(axis=1)]


def _cut(axes: Axes) -> Iterator[str]:
    """Data beyond the limits of their axes, where the figure does not say that they go on there."""
    for artist, points in _points(axes):
        if is_cut(artist) or not points.size:
            continue
        for column, name in enumerate("xy"):
            axis = (axes.xaxis, axes.yaxis)[column]
            low, high = sorted(axis.get_view_interval())
            values = points[:, column]
            room = 1e-9 * (high - low)
            beyond = values[(values < low - room) | (values > high + room)]
            if axis.get_scale() == "log" or isinstance(artist, StepPatch):
                beyond = beyond[beyond > 0]
            if beyond.size:
                yield (
                    f"{beyond.size} of {len(points)} points of {_name(artist)} lie beyond the {name} limits "
                    f"[{low:.4g}, {high:.4g}] of {_title(axes)}, up to {beyond[np.abs(beyond).argmax()]:.4g}"
                )


def _radius(artist: object) -> float:
    """Half the size of a marker in pixels; 0 for none."""
    if not isinstance(artist, Line2D | PathCollection):
        return 0.0
    if isinstance(artist, Line2D):
        if artist.get_marker() in (None, "", " ", "None", "none", ",", "|", "_"):
            return 0.0
        return artist.get_markersize() / 2 * artist.figure.dpi / 72
    return float(np.sqrt(np.max(artist.get_sizes(), initial=0.0)) / 2 * artist.figure.dpi / 72)


def _clipped_markers(axes: Axes) -> Iterator[str]:
    for artist, points in _points(axes):
        radius = _radius(artist)
        if radius == 0.0 or not artist.get_clip_on() or not points.size:
            continue
        places, inside = axes.transData.transform(points), axes.bbox
        margin = np.minimum(places - inside.min, inside.max - places).min(axis=1)
        half = (margin > -0.5) & (margin < 0.7 * radius)
        if half.any():
            yield f"{int(half.sum())} markers of {_name(artist)} are cut by the frame of {_title(axes)}"


def _unlabelled(figure: Figure, axes: Axes) -> Iterator[str]:
    """Numbers on an axis that no label explains, and labels without the unit that their quantity has."""
    if not axes.axison:
        return
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        labels = [*axis.get_majorticklabels(), *axis.get_minorticklabels()]
        shown = [label.get_text() for label in labels if label.get_text() and label.get_visible()]
        numbered = any(NUMBER.fullmatch(words) for words in shown)
        yield from (f"{_title(axes)} has the tick number {words}" for words in shown if "times" in words)
        words = axis.get_label_text()
        if numbered and not words and not _label_nearby(figure, axes, name):
            yield f"{_title(axes)} has numbers but no label along {name}"
        if words and not _fits(axis.label, axes, name):
            yield f"the label {words!r} is longer than its axis"
        if words and DIMENSIONAL.search(words) and not UNIT.search(words):
            yield f"the label {words!r} names no unit"


def _fits(label: Text, axes: Axes, name: str) -> bool:
    extent = label.get_window_extent()
    along, room = (extent.width, axes.bbox.width) if name == "x" else (extent.height, axes.bbox.height)
    return along <= LONGEST * room


def _label_nearby(figure: Figure, axes: Axes, name: str) -> bool:
    """Whether a panel of the same row (for y) or column (for x), or the whole figure, has a label for it."""
    if (name == "x" and figure.get_supxlabel()) or (name == "y" and figure.get_supylabel()):
        return True
    spec = axes.get_subplotspec()
    if spec is None:
        return False
    for other in figure.axes:
        theirs = other.get_subplotspec()
        if theirs is None or theirs.get_gridspec() is not spec.get_gridspec():
            continue
        same = theirs.colspan == spec.colspan if name == "x" else theirs.rowspan == spec.rowspan
        label = other.get_xlabel() if name == "x" else other.get_ylabel()
        if same and label:
            return True
    return False


def _legends(figure: Figure) -> Iterator[str]:
    legends = [child for axes in figure.axes for child in axes.findobj(Legend)] + list(figure.legends)
    for legend in dict.fromkeys(legends):
        if not legend.get_visible():
            continue
        box = legend.get_window_extent()
        width, height = figure.bbox.size
        if box.x0 < -0.5 or box.y0 < -0.5 or box.x1 > width + 0.5 or box.y1 > height + 0.5:
            yield "a legend leaves the canvas"
        words = ", ".join(text.get_text() for text in legend.get_texts())
        for axes in _panels(figure):
            if axes.bbox.overlaps(box):
                inner = Bbox.from_extents(box.x0 + 3, box.y0 + 3, box.x1 - 3, box.y1 - 3)
                yield from (f"the legend ({words}) lies over {what} in {_title(axes)}" for what in _under(axes, inner))


def _under(axes: Axes, box: Bbox) -> Iterator[str]:
    """What of the axes' data lies within a box, as far as their frame shows it."""
    box = Bbox.intersection(box, axes.bbox) or Bbox.null()
    for line in axes.lines:
        if not line.get_visible():
            continue
        path = line.get_path().cleaned(line.get_transform(), remove_nans=True)
        drawn = line.get_linestyle() not in ("None", "none", "", " ")
        if (drawn and path.intersects_bbox(box, filled=False)) or box.count_contains(path.vertices):
            yield _name(line)
    for collection in axes.collections:
        if collection.get_visible() and _collection_meets(collection, axes, box):
            yield _name(collection)
    if any(image.get_visible() for image in axes.images):
        yield "an image"


def _collection_meets(collection: Collection, axes: Axes, box: Bbox) -> bool:
    if isinstance(collection, PathCollection):
        offsets = _finite(np.ma.filled(collection.get_offsets(), np.nan))
        return bool(box.count_contains(collection.get_offset_transform().transform(offsets)))
    transform = collection.get_transform()
    for path in collection.get_paths():
        moved = Path(transform.transform(path.vertices), path.codes)
        if np.isfinite(moved.vertices).all() and len(moved.vertices) and moved.intersects_bbox(box, filled=True):
            return True
    return False


def _covered_by_text(axes: Axes) -> Iterator[str]:
    """Notes inside a panel that lie on a marker."""
    for text in axes.texts:
        if not text.get_visible() or not text.get_text().strip():
            continue
        extent = text.get_window_extent()
        for artist, points in _points(axes):
            if _radius(artist) and points.size:
                places = axes.transData.transform(points)
                seen = places[axes.bbox.padded(1).contains(*places.T)] if len(places) == 1 else places
                if extent.count_contains(seen):
                    yield f"the note {text.get_text()!r} lies on a marker of {_name(artist)} in {_title(axes)}"


def _name(artist: object) -> str:
    label = str(artist.get_label())
    return label if label and not label.startswith("_") else type(artist).__name__


def _title(axes: Axes) -> str:
    words = [axes.get_title("left"), axes.get_title(), axes.get_title("right"), axes.get_ylabel()]
    return "panel " + (" ".join(filter(None, words)) or "without title")
