"""Datasets on their way to the page (JSON with the numbers as base64) and to the disk (CSV, netCDF)."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rbmscape.brief import OneLine

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Sheet", "to_csv", "to_json", "to_netcdf", "to_page"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sheet(OneLine):
    """What a Dataset is made of; the page takes it as it is, so that the first picture waits for no import of xarray.

    Attributes
    ----------
    variables, coords : by name, axes (a word, or several), numbers, and attributes
    attrs : of the whole
    """

    variables: Mapping[str, tuple[Any, ...]]
    coords: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    attrs: Mapping[str, Any] = field(default_factory=dict)

    def _headline(self) -> str:
        return f"{len(self.variables)} variables: {', '.join(self.variables)}"

    def __contains__(self, name: str) -> bool:
        return name in self.variables

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Numbers of a variable or a coordinate."""
        return np.asarray((self.variables if name in self.variables else self.coords)[name][1])

    def axes(self, name: str) -> tuple[str, ...]:
        """Axes of a variable."""
        return _axes(self.variables[name][0])

    @property
    def nbytes(self) -> int:
        """Bytes of all numbers."""
        return sum(np.asarray(of[1]).nbytes for of in (*self.variables.values(), *self.coords.values()))

    def at(self, axis: str, place: int) -> Sheet:
        """One place of an axis."""
        variables, coords = (
            {name: _taken(of, axis, place) for name, of in part.items()} for part in (self.variables, self.coords)
        )
        return Sheet(variables, coords, self.attrs)

    def dataset(self) -> xr.Dataset:
        """The same as a Dataset."""
        import xarray as xr

        return xr.Dataset(self.variables, coords=self.coords, attrs=self.attrs)


def _axes(words: Any) -> tuple[str, ...]:
    return (words,) if isinstance(words, str) else tuple(words)


def _taken(of: tuple[Any, ...], axis: str, place: int) -> tuple[Any, ...]:
    axes = _axes(of[0])
    if axis not in axes:
        return of
    where = axes.index(axis)
    return (axes[:where] + axes[where + 1 :], np.take(np.asarray(of[1]), place, where), *of[2:])


def to_page(found: Sheet) -> bytes:
    """Coordinates and variables: their axes, shape and numbers; those that are no bytes are float32."""
    parts = {name: _array(*of) for name, of in (*found.coords.items(), *found.variables.items())}
    return to_json({"arrays": parts, "attrs": dict(found.attrs)})


def _array(axes: Any, numbers: Any, attrs: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    values, dims = np.asarray(numbers), list(map(str, _axes(axes)))
    head = {"dims": dims, "shape": list(values.shape), "units": str(attrs.get("units", ""))}
    if values.dtype.kind in "OUS":
        return head | {"words": [str(word) for word in values.ravel()]}
    kind = "u1" if values.dtype in (np.uint8, np.bool_) else "f4"
    return head | {"kind": kind, "data": base64.b64encode(values.astype(f"<{kind}").tobytes()).decode("ascii")}


def to_json(record: Mapping[str, Any]) -> bytes:
    """UTF-8 JSON; numbers that JSON does not know become null."""
    return json.dumps(_plain(record), ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def to_csv(found: Sheet) -> bytes:
    """One row a number, with its coordinates, its name and its unit."""
    from rbmscape.study.tables import long_table

    return str(long_table(found.dataset()).to_csv(index=False)).encode("utf-8")


def to_netcdf(found: Sheet) -> bytes:
    """A netCDF 4 file, made in memory."""
    import io

    buffer = io.BytesIO()
    found.dataset().to_netcdf(buffer, engine="h5netcdf")
    return buffer.getvalue()
