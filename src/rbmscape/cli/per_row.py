"""``--per-row FILE``: the log-probability of every row as a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rbmscape.data.dataset import Binary
    from rbmscape.model.rbm import RBM
    from rbmscape.stats import Estimate

__all__ = ["write_per_row"]


def write_per_row(path: Path, rbm: RBM, parts: Sequence[tuple[str, Binary]], log_z: Estimate) -> None:
    """A CSV file with a line a row: part, number in it, ln p in nats, and the error of ln Z common to all."""
    from rbmscape.files import write_text
    from rbmscape.likelihood.rows import log_probability

    lines = ["part,row,log_probability,common_stderr"]
    for part, rows in parts:
        values = log_probability(rbm, rows, partition=log_z).value.tolist()
        lines += [f"{part},{number},{value:.6f},{log_z.stderr:.6g}" for number, value in enumerate(values)]
    write_text(path, "\n".join(lines) + "\n")
