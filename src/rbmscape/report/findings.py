"""What a rule finds: a verdict with the measured numbers behind it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rbmscape.errors import StudyError
from rbmscape.stats import Estimate

__all__ = ["Check", "Finding", "MissingEvidenceError", "Number", "Verdict"]


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
class Check:
    """What a computation says about an erratum.

    Attributes
    ----------
    measured : the numbers in a sentence
    agrees : they fit the implemented form and exclude the printed one
    numbers : the same for tables
    """

    measured: str
    agrees: bool
    numbers: tuple[Number, ...] = ()
