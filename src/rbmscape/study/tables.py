"""Results as tidy tables: one row a number, with its coordinates, name and unit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rbmscape.files import write_text

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["long_table", "write_tables"]


def long_table(dataset: xr.Dataset) -> pd.DataFrame:
    """A Dataset in long format.

    Returns
    -------
    One row a finite number: a column for each dimension of the Dataset (its coordinate, or the index where it has none;
    missing where a variable does not have the dimension), then ``variable``, ``value`` and ``units``
    """
    import pandas as pd

    dimensions = [str(name) for name in dataset.dims]
    parts = [_rows(str(name), array) for name, array in dataset.data_vars.items() if array.dtype.kind in "fiub"]
    columns = [*dimensions, "variable", "value", "units"]
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts, ignore_index=True).reindex(columns=columns)


def _rows(name: str, array: xr.DataArray) -> pd.DataFrame:
    import pandas as pd

    plain = array.reset_coords(drop=True).astype(float).rename("value")
    table = plain.to_dataframe().reset_index() if plain.ndim else pd.DataFrame({"value": [float(plain)]})
    return table.dropna(subset="value").assign(variable=name, units=str(array.attrs.get("units", "")))


class Tabled(Protocol):
    """Whatever has results as tables: a study."""

    def result_names(self) -> tuple[str, ...]:
        """Names of the results that are there."""

    def table(self, name: str) -> pd.DataFrame:
        """One of them in long format."""


def write_tables(study: Tabled, folder: Path) -> list[Path]:
    """Every result and every figure's data as FOLDER/NAME.csv.

    Returns
    -------
    The files

    Raises
    ------
    DiskError : a file cannot be written
    """
    written = []
    for name in study.result_names():
        path = folder / f"{name}.csv"
        write_text(path, study.table(name).to_csv(index=False))
        written.append(path)
    return written
