"""Damage to bytes and to trees of values, drawn from a generator of a fixed seed."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

EXTREMES = (
    b"\xff" * 8,
    b"\x00" * 8,
    b"\xff\xff\xff\x7f",
    b"\x00" * 64,
    b"\xff" * 2,
    b"\x80",
    b"\n" * 50,
    b"\r",
    b"\x00",
)
NASTY: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    3,
    2**31,
    2**63,
    10**30,
    10**400,
    1.5,
    -0.0,
    1e-320,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "a",
    "1",
    "nan",
    "-1",
    "\x00",
    "\ud800".encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
    "[/b]",
    "\x1b[31m",
    "x" * 5000,
    "../../etc",
    "/dev/null",
    [],
    [[]],
    {},
    [1, "a"],
    [None],
    {"a": 1},
    [0, 1, 2, 3],
    [[1, 0], [1]],
    {"": {"": []}},
)
"""Values that stand where others are expected."""


def damaged(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """A few changes at random places; ``other`` is another file of the format, of which pieces are put in."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        place = int(rng.integers(len(data) + 1))
        CHANGES[int(rng.integers(len(CHANGES)))](data, place, other, rng)
    return bytes(data)


def _bit(data: bytearray, place: int, _other: bytes, rng: np.random.Generator) -> None:
    if place < len(data):
        data[place] ^= 1 << int(rng.integers(8))


def _byte(data: bytearray, place: int, _other: bytes, rng: np.random.Generator) -> None:
    data[place : place + 1] = bytes([int(rng.integers(256))])


def _loss(data: bytearray, place: int, _other: bytes, rng: np.random.Generator) -> None:
    del data[place : place + int(rng.integers(1, 40))]


def _end(data: bytearray, place: int, _other: bytes, rng: np.random.Generator) -> None:
    if rng.random() < 0.3:
        del data[place:]


def _echo(data: bytearray, place: int, _other: bytes, rng: np.random.Generator) -> None:
    data[place:place] = data[place : place + int(rng.integers(1, 40))] * int(rng.integers(1, 4))


def _extreme(data: bytearray, place: int, _other: bytes, rng: np.random.Generator) -> None:
    word = EXTREMES[int(rng.integers(len(EXTREMES)))]
    data[place : place + len(word)] = word


def _piece(data: bytearray, place: int, other: bytes, rng: np.random.Generator) -> None:
    if other:
        start, length = int(rng.integers(len(other))), int(rng.integers(1, 40))
        data[place : place + length] = other[start : start + length]


def _digit(data: bytearray, _place: int, _other: bytes, rng: np.random.Generator) -> None:
    digits = [index for index, byte in enumerate(data) if 48 <= byte < 58]
    if digits:
        data[digits[int(rng.integers(len(digits)))]] = 48 + int(rng.integers(10))


CHANGES = (_bit, _byte, _loss, _end, _echo, _extreme, _piece, _digit)


def _places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    parts = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in parts:
        found += _places(value, (*path, key))
    return found


def damaged_tree(tree: Any, rng: np.random.Generator) -> Any:
    """Parsed JSON or TOML with one to three values replaced, left out, or put under another name."""
    tree = copy.deepcopy(tree)
    for _ in range(int(rng.integers(1, 4))):
        places = _places(tree)
        if not places:
            break
        *above, key = places[int(rng.integers(len(places)))]
        holder = tree
        for step in above:
            holder = holder[step]
        kind = int(rng.integers(6))
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, dict):
            holder[f"{key}x"] = holder.pop(key)
        else:
            holder[key] = copy.deepcopy(NASTY[int(rng.integers(len(NASTY)))])
    return tree
