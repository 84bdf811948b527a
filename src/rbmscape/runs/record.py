"""What ``config.json`` and a line of ``metrics.jsonl`` hold, checked where they are read.

Digests tell of accidents; a file without one, of an older release or edited by hand, is judged by its values alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from rbmscape.checks import in_short
from rbmscape.errors import DamagedError
from rbmscape.runs.layout import RUN_FORMAT, check_schema, read_json

__all__ = ["is_row", "read_run_record"]

_Count = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
_Positive = Annotated[int, Field(strict=True, ge=1, lt=2**63)]
_Number = Annotated[float, Field(strict=True)]
_Word = Annotated[str, Field(strict=True, max_length=10_000)]
_Plain = bool | int | _Number | _Word | None


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class _Origin(_Part):
    source: _Word
    options: dict[str, Any]


class _Data(_Part):
    name: _Word
    fingerprint: _Word
    n_visible: _Positive
    n_train: _Count
    n_test: _Count
    image_shape: Annotated[list[_Positive], Field(min_length=2, max_length=2)] | None = None
    origin: _Origin | None = None
    columns: list[_Word] | None = None


class _Imported(_Part):
    tool: _Word = ""


class _Init(_Part):
    digest: _Word


class _Record(_Part):
    config: dict[str, Any]
    data: _Data
    engine: _Word
    precision: _Word
    updates_per_epoch: _Positive
    versions: dict[str, _Plain] = {}
    run_id: _Word | None = None
    arithmetic: _Word = ""
    imported: _Imported | None = None
    init: _Init | None = None


class _Row(_Part):
    update: _Count
    epoch: _Number
    seconds: _Number | None = None
    converged: bool | None = None
    verdict: _Word | None = None
    singular_values: list[_Number | None] = []
    log_likelihood: _Number | None = None
    log_likelihood_train: _Number | None = None
    log_likelihood_test: _Number | None = None
    log_partition: _Number | None = None
    log_partition_stderr: _Number | None = None
    pseudo_log_likelihood: _Number | None = None
    constant_hidden_units: _Number | None = None
    __pydantic_extra__: dict[str, _Plain | list[_Plain]]


_ROW: Final = TypeAdapter(_Row)


def read_run_record(path: Path) -> dict[str, Any]:
    """The record of a run.

    Raises
    ------
    DiskError : the file cannot be read
    DamagedError : it is no record, or not what was written
    FormatError : it is another kind of file, or of a newer release
    """
    record = read_json(path)
    check_schema(record, RUN_FORMAT, path)
    try:
        _Record.model_validate(record)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DamagedError(
            f"{path} is no whole record of a run ({in_short(where)}: {in_short(first['msg'])}); restore it from a copy"
        ) from None
    return record


def is_row(values: Mapping[str, Any]) -> bool:
    """Whether a parsed line holds an update with its numbers."""
    try:
        _ROW.validate_python(values)
    except ValidationError:
        return False
    return True
