"""Signs of training in and out of equilibrium side by side, where a study has trainings of both kinds."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rbmscape.errors import RbmscapeError
from rbmscape.reciprocal.signs import TrainingSigns, training_signs

if TYPE_CHECKING:
    from rbmscape.runs.run import Run
    from rbmscape.study.study import Study

__all__ = ["SignRow", "sign_rows"]

CHAINS: Final = 200
FACTORS: Final = (1, 4, 16, 64)
WORK: Final = 1e11
"""Multiply-adds that the chains of one run may take: some seconds."""


@dataclass(frozen=True, slots=True)
class SignRow:
    """One training of the table, at its last checkpoint.

    Attributes
    ----------
    recipe, hidden : of the run
    method : and its Gibbs steps, as in "pcd-10"
    signs : what chains of its last model show
    """

    recipe: str
    hidden: int
    method: str
    signs: TrainingSigns

    @property
    def best(self) -> tuple[float, int]:
        """Largest agreement of two-body statistics with those of data, and after how many steps."""
        values = self.signs.two_body[-1]
        place = int(values.argmax())
        return float(values[place]), self.signs.steps[place]

    @property
    def words(self) -> str:
        """What speaks against equilibrium."""
        return "; ".join(self.signs.findings) or "nothing"


def sign_rows(study: Study) -> list[SignRow]:
    """A row for the first replica of every recipe and size, if some train in equilibrium ("ptt") and others do not."""
    first: dict[tuple[str, int], Run] = {}
    for key, run in study.runs.items():
        if run.last_update > 0:
            first.setdefault((key.recipe, key.hidden), run)
    methods = {run.config.method for run in first.values()}
    if "ptt" not in methods or len(methods) == 1:
        return []
    rows = []
    for (recipe, hidden), run in first.items():
        step = 4.0 * CHAINS * run.data["n_visible"] * hidden * run.config.gibbs_steps
        factors = [factor for factor in FACTORS if factor <= FACTORS[1] or factor * step <= WORK]
        with suppress(RbmscapeError):  # data that cannot be had again
            signs = training_signs(run, n_checkpoints=1, n_chains=CHAINS, factors=factors)
            rows.append(SignRow(recipe, hidden, f"{run.config.method}-{run.config.gibbs_steps}", signs))
    return rows
