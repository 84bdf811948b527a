"""Results as small cards of HTML for notebooks: a headline, rows of facts, a curve, a few pictures.

Colours are those of the page (``currentColor``), so that cards fit light and dark themes.  All words are escaped;
nothing is loaded from anywhere.
"""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["card", "curve", "image_shape_of", "images"]

_WIDTH: Final = 260
_HEIGHT: Final = 70
_MOST_POINTS: Final = 400
_BOX: Final = "border:1px solid currentColor;border-radius:4px;padding:.5em .8em;display:inline-block;max-width:44em"


def card(title: str, facts: Mapping[str, str], *parts: str) -> str:
    """A card; parts are HTML of `curve` and `images`.

    Parameters
    ----------
    title : what it is, as text
    facts : names and values, as text; empty values are left out
    """
    lines = "".join(
        f"<div><span style='opacity:.7'>{escape(name)}</span> {escape(value)}</div>"
        for name, value in facts.items()
        if value
    )
    return f"<div style='{_BOX}'><strong>{escape(title)}</strong>{lines}{''.join(parts)}</div>"


def curve(x: Any, y: Any, label: str) -> str:
    """A line through points, with the range of its values in words; nothing where fewer than two are finite.

    Parameters
    ----------
    x, y : (n,) numbers; points that are not finite are left out
    label : what it shows, as text
    """
    points = np.stack([np.asarray(x, dtype=float), np.asarray(y, dtype=float)], axis=1)
    points = points[np.isfinite(points).all(1)]
    if len(points) < 2:
        return ""
    points = points[np.unique(np.linspace(0, len(points) - 1, _MOST_POINTS).astype(int))]
    low, high = points.min(0), points.max(0)
    scaled = (points - low) / np.where(high > low, high - low, 1.0)
    path = " ".join(f"{4 + (_WIDTH - 8) * a:.1f},{_HEIGHT - 4 - (_HEIGHT - 8) * b:.1f}" for a, b in scaled)
    words = escape(f"{label}: {points[0, 1]:.4g} to {points[-1, 1]:.4g}")
    return (
        f"<figure style='margin:.4em 0'><svg role='img' aria-label='{words}' width='{_WIDTH}' height='{_HEIGHT}' "
        f"viewBox='0 0 {_WIDTH} {_HEIGHT}'><polyline points='{path}' fill='none' stroke='currentColor' "
        f"stroke-width='1.5'/></svg><figcaption style='opacity:.7'>{words}</figcaption></figure>"
    )


def images(rows: Any, shape: tuple[int, int] | None, label: str) -> str:
    """Rows as pictures side by side; nothing where rows are no images.

    Parameters
    ----------
    rows : (n, N) numbers; from 0 (black) to 1 (white), or with signs, 0 being the middle grey
    shape : (height, width) of a row
    label : what they show, as text
    """
    values = np.asarray(rows, dtype=float)
    if shape is None or not len(values) or not np.isfinite(values).all():
        return ""
    if values.min() < 0.0:
        largest = np.abs(values).max(axis=1, keepdims=True)
        values = 0.5 + 0.5 * values / np.where(largest > 0.0, largest, 1.0)
    zoom = max(1, round(56 / max(shape)))
    pictures = "".join(
        f"<img alt='{escape(label)}, {number + 1}' width='{zoom * shape[1]}' height='{zoom * shape[0]}' "
        f"style='image-rendering:pixelated;margin:0 3px 0 0;border:1px solid currentColor' src='{_png(row)}'/>"
        for number, row in enumerate(np.rint(255 * values).astype(np.uint8).reshape(-1, *shape))
    )
    caption = f"<figcaption style='opacity:.7'>{escape(label)}</figcaption>"
    return f"<figure style='margin:.4em 0'>{pictures}{caption}</figure>"


def image_shape_of(n_units: int, shape: Sequence[int] | None = None) -> tuple[int, int] | None:
    """The shape of a row as an image: the given one, else a square of at least 4 by 4, else None."""
    if shape is not None:
        return int(shape[0]), int(shape[1])
    side = math.isqrt(n_units)
    return (side, side) if side >= 4 and side * side == n_units else None


def _png(grey: NDArray[np.uint8]) -> str:
    """An image of grey values as a data URI."""
    height, width = grey.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), grey], axis=1)  # each row is preceded by its filter, none

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + parts).decode()
