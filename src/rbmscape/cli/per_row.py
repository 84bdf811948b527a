"""``--per-row FILE``: the log-probability of every row as a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rbmscape.data.dataset import Dataset
    from rbmscape.model.rbm import RBM
    from rbmscape.stats import Estimate

__all__ = ["write_per_row"]


def write_per_row(path: Path, rbm: RBM, parts: Sequence[tuple[str, Dataset]], log_z: Estimate) -> None:
    """A CSV file with a line a row: part, number in it, ln p in nats, and its errors.

    The row's own error is 0 but where missing entries could not be summed exactly; that of ln Z is common to all.
    """
    from rbmscape.files import write_text
    from rbmscape.likelihood.rows import log_probability

    lines = ["part,row,log_probability,row_stderr,common_stderr"]
    for part, rows in parts:
        found = log_probability(rbm, rows, partition=log_z)
        own = found.row_stderr.tolist()
        lines += [
            f"{part},{number},{value:.6f},{own[number]:.6g},{log_z.stderr:.6g}"
            for number, value in enumerate(found.value.tolist())
        ]
    write_text(path, "\n".join(lines) + "\n")
