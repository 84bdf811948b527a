"""What a claim, its rule and its verdict are.

A `Claim` is a statement of the paper in our words with a rule: a function from `Evidence` to a `Finding`.  Verdicts
come from such rules alone, and a rule that finds its data missing says what is missing instead of guessing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from rbmscape.errors import StudyError
from rbmscape.stats import Estimate

if TYPE_CHECKING:
    from rbmscape.report.evidence import Evidence

__all__ = ["Claim", "Finding", "Judged", "MissingEvidenceError", "Number", "Verdict", "judge"]


class Verdict(StrEnum):
    """What the numbers say about a claim."""

    HOLDS = "holds"
    PART = "holds in part"
    FAILS = "does not hold here"
    UNTESTED = "not tested at this profile"


class MissingEvidenceError(StudyError):
    """A study lacks what a claim's rule needs; the message says what."""


@dataclass(frozen=True, slots=True)
class Number:
    """One measured quantity behind a verdict.

    Attributes
    ----------
    quantity : what it is
    value : in ``unit``
    stderr : its standard error, 0 where it is exact
    unit : "1" where it has none
    """

    quantity: str
    value: float
    stderr: float = 0.0
    unit: str = "1"

    @classmethod
    def of(cls, quantity: str, estimate: Estimate, unit: str = "1") -> Number:
        """From an `Estimate`."""
        return cls(quantity, float(estimate.value), float(estimate.stderr), unit)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found.

    Attributes
    ----------
    verdict : what follows from the numbers
    measured : the numbers in a sentence or two
    numbers : the same for tables
    recipe : which training they come from; empty where no training is involved
    """

    verdict: Verdict
    measured: str
    numbers: tuple[Number, ...] = ()
    recipe: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """One checkable statement.

    Attributes
    ----------
    key : short name, unique in the ledger
    section : where the paper says it
    statement : what it says, in our words
    rule : how the verdict follows, with thresholds and false-alarm rates
    judge : the rule in code
    figure : name of the figure that shows it, or empty
    """

    key: str
    section: str
    statement: str
    rule: str
    judge: Callable[[Evidence], Finding]
    figure: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """A claim with what was found."""

    claim: Claim
    finding: Finding


def judge(claim: Claim, evidence: Evidence) -> Judged:
    """Apply a claim's rule; where data are missing the claim is not tested, and the finding says what is missing.

    Doubts about the equilibrium of the samples that the rule used are added to the finding's words.
    """
    evidence.forget_used()
    try:
        finding = claim.judge(evidence)
    except MissingEvidenceError as reason:
        return Judged(claim, Finding(Verdict.UNTESTED, str(reason)))
    doubt = evidence.doubt()
    return Judged(claim, replace(finding, measured=f"{finding.measured} {doubt}") if doubt else finding)
