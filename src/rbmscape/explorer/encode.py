"""Datasets on their way to the page (JSON with the numbers as base64) and to the disk (CSV, netCDF)."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["to_csv", "to_json", "to_netcdf", "to_page"]


def to_page(dataset: xr.Dataset) -> bytes:
    """Coordinates and variables: their axes, shape and numbers; those that are no bytes are float32."""
    arrays = {str(name): _array(array) for name, array in (*dataset.coords.items(), *dataset.data_vars.items())}
    return to_json({"arrays": arrays, "attrs": dict(dataset.attrs)})


def _array(array: xr.DataArray) -> dict[str, Any]:
    values = np.asarray(array.values)
    head = {"dims": list(map(str, array.dims)), "shape": list(values.shape), "units": str(array.attrs.get("units", ""))}
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


def to_csv(dataset: xr.Dataset) -> bytes:
    """One row a number, with its coordinates, its name and its unit."""
    from rbmscape.study.tables import long_table

    return str(long_table(dataset).to_csv(index=False)).encode("utf-8")


def to_netcdf(dataset: xr.Dataset) -> bytes:
    """A netCDF 4 file, made in memory."""
    import io

    buffer = io.BytesIO()
    dataset.to_netcdf(buffer, engine="h5netcdf")
    return buffer.getvalue()
