"""SHA-256 of what is written, so that damage is noticed when it is read: a flipped bit, a lost line, a swapped file.

A digest tells of accidents, not of attackers: whoever changes a file on purpose can change its digest as well.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["DIGEST", "bytes_digest", "is_untouched", "line_digest", "record_digest", "with_digest"]

DIGEST: Final = "digest"
"""Key under which a record holds the digest of the rest of itself."""

_SHORT: Final = 16


def bytes_digest(*parts: bytes | memoryview) -> str:
    """Hexadecimal SHA-256 of some bytes, one part after the other."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()


def record_digest(record: Mapping[str, Any]) -> str:
    """Digest of a JSON object without its own entry, whatever the order and the layout of the file."""
    rest = {key: value for key, value in record.items() if key != DIGEST}
    return bytes_digest(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode())


def with_digest(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record with its digest as its last entry."""
    plain: dict[str, Any] = json.loads(json.dumps({key: value for key, value in record.items() if key != DIGEST}))
    return plain | {DIGEST: record_digest(plain)}


def is_untouched(record: Mapping[str, Any]) -> bool:
    """Whether a record is as it was written; records of older releases have no digest and count as such."""
    return DIGEST not in record or record[DIGEST] == record_digest(record)


def line_digest(before: str, row: Mapping[str, Any]) -> str:
    """Digest of one line of a file that only grows and of all lines before it, whose last digest is ``before``."""
    return bytes_digest(before.encode(), record_digest(row).encode())[:_SHORT]
