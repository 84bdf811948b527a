"""Candidates of a search: where each stands, who goes on to the next rung, and which one is best.

Likelihoods are compared where they are converged, and nowhere else: candidates whose held-out likelihood is not
converged stand behind all others, in the order of the plan, whatever their numbers; they fill places that would stay
empty, and cannot win.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from rbmscape.figures.material import RunKey
from rbmscape.stats import Estimate
from rbmscape.study.graph import points_file
from rbmscape.study.store import StudyStore

__all__ = ["Candidate", "Score", "best_of", "read_score", "survivors"]

SIGMAS: Final = 2.0
"""Errors of a difference up to which two candidates are not told apart."""


@dataclass(frozen=True, slots=True)
class Score:
    """Mean log-likelihood of the held-out rows, in nats.

    Attributes
    ----------
    value, stderr : of the estimate; the error is that of ln Z, since all candidates share the rows, None where it is
        not known
    row_stderr : of the mean over the rows as a sample of all that could be
    converged : whether nothing speaks against the estimate; only then it is compared
    method : of the estimate
    upper : of a bracket, the bound that holds also where it is not converged
    """

    value: float
    stderr: float | None
    row_stderr: float
    converged: bool
    method: str
    upper: float | None = None

    def __str__(self) -> str:
        if self.converged:
            return str(Estimate(self.value, self.stderr or 0.0))
        return "not converged" if self.upper is None else f"not converged, at most about {self.upper:.2f}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One combination of values, and how far it came.

    Attributes
    ----------
    key : of its run
    values : by the names of the plan
    rung : the last rung that it was scored on, from 0; -1 for none
    epochs : that it was trained there
    score : of its held-out likelihood there; None where there is none
    failure : why it could not be trained or scored; empty otherwise
    behind : log-likelihood of the best minus its own, where both were trained equally long, with the error of the
        difference; None elsewhere
    """

    key: RunKey
    values: Mapping[str, Any]
    rung: int = -1
    epochs: int = 0
    score: Score | None = field(default=None)
    failure: str = ""
    behind: Estimate | None = None

    @property
    def converged(self) -> bool:
        """Whether it has a likelihood that counts."""
        return self.score is not None and self.score.converged and not self.failure

    def scored(self, rung: int, epochs: int, score: Score | None, failure: str) -> Candidate:
        """With what the next rung found."""
        return replace(self, rung=rung, epochs=epochs, score=score, failure=failure)

    @property
    def is_level(self) -> bool:
        """Whether it is behind the best by less than two errors of the difference."""
        return self.behind is not None and self.behind.value <= SIGMAS * self.behind.stderr

    def record(self) -> dict[str, Any]:
        """All of it in JSON types; what is not known is null."""
        behind = None if self.behind is None else {"value": self.behind.value, "stderr": self.behind.stderr}
        return {
            "run": str(self.key),
            "rung": self.rung,
            "epochs": self.epochs,
            "values": dict(self.values),
            "log_likelihood": None if self.score is None else asdict(self.score),
            "behind": behind,
            "level_with_the_best": self.is_level,
            "failure": self.failure,
        }


def read_score(store: StudyStore, key: RunKey, update: int) -> Score:
    """What the task of this run and update wrote."""
    path = store.directory / points_file(f"likelihood/{key}/{update}")
    row = json.loads(path.read_text(encoding="utf-8").splitlines()[-1])
    is_exact = row["method"] == "exact"
    numbers = {name: row.get(name) for name in ("value", "stderr", "row_stderr", "upper")}
    return Score(**numbers, converged=is_exact or bool(row.get("converged")), method=str(row["method"]))


def survivors(candidates: Sequence[Candidate], places: int) -> list[Candidate]:
    """Who goes on: converged ones by their likelihood, then the others that were trained, in the order of the plan."""
    ranked = sorted((one for one in candidates if one.converged), key=_value, reverse=True)
    ranked += [one for one in candidates if not one.converged and not one.failure]
    return ranked[:places]


def best_of(candidates: Sequence[Candidate]) -> Candidate | None:
    """The converged candidate of the last rung with the highest likelihood; None where there is none."""
    last = max((one.rung for one in candidates), default=-1)
    return max((one for one in candidates if one.converged and one.rung == last), key=_value, default=None)


def _value(one: Candidate) -> float:
    assert one.score is not None
    return one.score.value
