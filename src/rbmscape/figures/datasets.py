"""The data behind a figure: where they come from, as attributes, and how they are written."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from rbmscape.checks import in_short
from rbmscape.errors import DamagedError, DiskError
from rbmscape.files import write_bytes

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["provenance_attrs", "read_dataset", "write_dataset"]


def provenance_attrs(seed: int | None = None, **extra: str | float | bool | None) -> dict[str, str | float]:
    """Attributes that say where a Dataset comes from, for ``Dataset.attrs``.

    Parameters
    ----------
    seed : seed of whatever was drawn to compute the data; left out where nothing was
    **extra : more attributes (``source=...``, ``configuration_hash=...``); None is left out, bool becomes 0 or 1

    Returns
    -------
    Mapping that netCDF can hold: package versions, time of creation (ISO 8601, UTC), kind of machine
    """
    attrs: dict[str, str | float] = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}",
        "python_version": platform.python_version(),
    }
    for package in ("rbmscape", "torch", "numpy", "scipy"):
        try:
            attrs[f"{package}_version"] = version(package)
        except PackageNotFoundError:  # running from a source tree that was never installed
            continue
    if seed is not None:
        attrs["seed"] = int(seed)
    for key, value in extra.items():
        if value is not None:
            attrs[key] = int(value) if isinstance(value, bool) else value
    return attrs


def write_dataset(dataset: xr.Dataset, path: str | os.PathLike[str]) -> None:
    """Write a Dataset as compressed netCDF (h5netcdf), at once or not at all.

    Raises
    ------
    DiskError : the file cannot be written
    """
    encoding = {
        name: {"zlib": True, "complevel": 4}
        for name, variable in dataset.variables.items()
        if variable.ndim > 0 and variable.dtype.kind in "fiub"
    }
    # in memory and through one door: HDF5 on a full disk ends the whole process
    with _in_this_process():
        content = bytes(dataset.to_netcdf(engine="h5netcdf", encoding=encoding))
    write_bytes(path, content)


@contextmanager
def _in_this_process() -> Iterator[None]:
    """Without a lock that a Dask cluster would have to know by the name of a file, which there is none of."""
    if "dask" not in sys.modules:
        yield
        return
    import dask

    with dask.config.set(scheduler="synchronous"):
        yield


def read_dataset(path: str | os.PathLike[str]) -> xr.Dataset:
    """A Dataset that `write_dataset` wrote, in memory.

    Raises
    ------
    DiskError : there is no such file
    DamagedError : it is not whole
    """
    import xarray as xr

    if not Path(path).is_file():
        raise DiskError(f"there is no file {os.fspath(path)}; compute it first")
    try:
        return xr.load_dataset(path, engine="h5netcdf")
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"{os.fspath(path)} is not whole ({in_short(error)}); compute it again") from error
