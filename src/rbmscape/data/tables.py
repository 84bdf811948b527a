"""Text and column files: .csv with or without a header, .parquet; one column may hold the labels."""

from __future__ import annotations

import csv
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rbmscape.arrays import frame_array
from rbmscape.brief import OneLine
from rbmscape.checks import in_short, shown, suggestion
from rbmscape.errors import DataError, FormatError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Columns", "read_csv", "read_parquet", "split_frame"]

_LONGEST_LINE: Final = 2**26
_BLOCK: Final = 2**20
_VALUE_WORDS = frozenset({"", "true", "false", "na", "n/a", "#n/a", "nan", "null", "none", "<na>"})


@dataclass(frozen=True, eq=False, repr=False)
class Columns(OneLine):
    """Numbers (n, n_columns), labels (n,) or None, and the names of the columns or None."""

    values: Any
    labels: Any
    columns: tuple[str, ...] | None


def read_csv(path: Path, labels: str | None = None) -> Columns:
    """Numbers separated by comma, semicolon, tab or space.

    The first line is a header where its numbers are 0, 1, 2, ... (three or more), as pandas numbers unnamed columns,
    where a column has a word there and a number below, where it has words alone, or where it names the label column.
    A column without a name that counts the rows, or names each by a word of its own, is an index and is left out.

    Raises
    ------
    DataError : nothing but a header, ragged rows, words where numbers should be, an unknown label column
    FormatError : the file is not UTF-8 text
    """
    import pandas as pd

    _refuse_endless_lines(path)
    first, second, separator = _first_lines(path)
    header = (labels in first and not _is_value(str(labels))) or _is_header(first, second)
    try:
        frame = pd.read_csv(
            path, sep=separator, header=None, skiprows=int(header), skip_blank_lines=True, encoding="utf-8-sig",
            skipinitialspace=True,
        )  # fmt: skip
    except pd.errors.EmptyDataError:
        raise DataError(f"{path} has no rows below its header; give at least one row") from None
    except (pd.errors.ParserError, UnicodeDecodeError, ValueError) as error:
        _refuse_ragged(path, separator, len(first))
        raise FormatError(f"{path} cannot be read as comma-separated text ({in_short(error)})") from error
    if frame.shape[1] != len(first) or frame.isna().to_numpy().any():
        _refuse_ragged(path, separator, len(first))
    return split_frame(path, frame, tuple(first) if header else None, labels)


def read_parquet(path: Path, labels: str | None = None) -> Columns:
    """Columns of a .parquet file; needs the optional package pyarrow.

    Raises
    ------
    DataError : pyarrow is not installed, a column holds no numbers, an unknown label column
    FormatError : the file is damaged
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise DataError(
            f"{path}: .parquet files need the package pyarrow; install it with: pip install pyarrow"
        ) from error
    try:
        frame = pyarrow.parquet.ParquetFile(path).read().to_pandas()
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{path} is no readable .parquet file ({type(error).__name__}); write it again") from error
    return split_frame(path, frame, tuple(str(name) for name in frame.columns), labels)


def _refuse_endless_lines(path: Path) -> None:
    """A line is read as a whole; one that is longer than those of a million columns is none.

    Raises
    ------
    FormatError : there is such a line
    """
    if path.stat().st_size <= _LONGEST_LINE:
        return
    number, length = 1, 0
    with open(path, "rb") as handle:
        while block := handle.read(_BLOCK):
            first = block.find(b"\n")
            length += len(block) if first < 0 else first
            if length > _LONGEST_LINE:
                raise FormatError(
                    f"line {number} of {path} has more than {_LONGEST_LINE / 1e6:.0f} MB; write one row a line, "
                    "ended by a line feed"
                )
            if first >= 0:
                number, length = number + block.count(b"\n"), len(block) - 1 - block.rfind(b"\n")


def _first_lines(path: Path) -> tuple[list[str], list[str], str]:
    """Fields of the first two lines that are not blank (the second may be missing), and the separator."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as handle:
            lines = list(itertools.islice((line.strip("\r\n") for line in handle if line.strip()), 2))
    except UnicodeDecodeError as error:
        raise FormatError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    if not lines:
        raise DataError(f"{path} has only blank lines; give at least one row")
    separator = _separator(lines)
    parsed = [[f.strip() for f in line] for line in csv.reader(lines, delimiter=separator, skipinitialspace=True)]
    return parsed[0], parsed[1] if len(parsed) > 1 else [], separator


def _separator(lines: list[str]) -> str:
    """Comma, semicolon or tab where the first lines have it; a space only where all do, since names contain spaces."""
    marked = next((mark for mark in (",", ";", "\t") if any(mark in line for line in lines)), None)
    return marked or (" " if all(" " in line for line in lines) else ",")


def _is_header(fields: list[str], below: list[str]) -> bool:
    numbers = [field for field in fields if field and _is_value(field)]
    if len(numbers) > 2 and numbers == [str(position) for position in range(len(numbers))]:
        return True
    words = [position for position, field in enumerate(fields) if not _is_value(field)]
    if not words or not numbers or len(below) != len(fields):
        return bool(words)
    return any(_is_value(below[position]) for position in words)


def _is_value(field: str) -> bool:
    """Whether a field is a number, a truth value or a gap, as pandas reads them."""
    if field.lower() in _VALUE_WORDS:
        return True
    try:
        float(field)
    except ValueError:
        return False
    return True


def _refuse_ragged(path: Path, separator: str, n_fields: int) -> None:
    """Name the first line with another number of fields than the first one, if there is one."""
    with open(path, encoding="utf-8-sig", newline="", errors="replace") as handle:
        reader = csv.reader(handle, delimiter=separator, skipinitialspace=True)
        for fields in reader:
            if fields and len(fields) != n_fields:
                raise DataError(
                    f"{path}: line {reader.line_num} has {len(fields)} fields but the first line {n_fields}; "
                    "give rows of equal length"
                )


def split_frame(path: Path | str, frame: pd.DataFrame, names: tuple[str, ...] | None, labels: str | None) -> Columns:
    """Take the label column out of a table and make one array of the others.

    Parameters
    ----------
    path : how messages call the table
    frame : columns of any type
    names : of the columns, or None
    labels : name or number of the label column, or None

    Raises
    ------
    DataError : a column holds no numbers, an unknown label column
    """
    known = names or tuple(str(position) for position in range(frame.shape[1]))
    keep = list(range(frame.shape[1]))
    label_values = None
    if labels is not None:
        position = _position(path, known, labels)
        label_values = frame.iloc[:, position].to_numpy()
        keep.remove(position)
    if names:
        unnamed = [position for position in keep if not known[position]]
        indices = [position for position in unnamed if _is_index(frame.iloc[:, position])]
        keep = [position for position in keep if position not in indices] or keep
    frame = frame.iloc[:, keep] if len(keep) < frame.shape[1] else frame
    columns = tuple(known[position] for position in keep)
    values = frame_array(frame.set_axis(list(columns), axis=1), str(path))
    return Columns(values, label_values, columns if names else None)


def _position(path: Path | str, known: tuple[str, ...], labels: str) -> int:
    """Column called ``labels``, else the column of that number; negative numbers count from the end."""
    if labels in known:
        return known.index(labels)
    try:
        position = int(labels)
    except ValueError:
        position = len(known)
    if not -len(known) <= position < len(known):
        raise DataError(
            f"{path} has no column {shown(labels)} for the labels; "
            + suggestion(labels, known, f"it has {len(known)} columns, the first is {shown(known[0])}")
        )
    return position % len(known)


def _is_index(column: pd.Series[Any]) -> bool:
    """Whether a column counts the rows or has another word in each."""
    words = [value for value in column if isinstance(value, str) and not _is_value(value)]
    return _counts_rows(column) or (bool(words) and len(set(words)) == len(column))


def _counts_rows(column: pd.Series[Any]) -> bool:
    """Whether a column is 0, 1, 2, ... or 1, 2, 3, ..."""
    if column.dtype.kind not in "iu" or not len(column):
        return False
    first = int(column.iloc[0])
    return first in (0, 1) and column.tolist() == list(range(first, first + len(column)))
