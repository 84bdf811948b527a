"""What a claim is, and how it is judged.

A `Claim` is a statement of the paper in our words with a rule: a function from `Evidence` to a `Finding`.  Verdicts
come from such rules alone, and a rule that finds its data missing says what is missing instead of guessing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from rbmscape.report.evidence import Evidence
from rbmscape.report.findings import Finding, MissingEvidenceError, Verdict

__all__ = ["Claim", "Judged", "judge"]


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
    samples : whether the rule uses equilibrium samples; doubts about them are told under such claims alone
    identity : whether the statement follows from definitions, or from how it is computed, so that it can only fail
        where a computation is wrong; identities are counted apart
    """

    key: str
    section: str
    statement: str
    rule: str
    judge: Callable[[Evidence], Finding]
    figure: str = ""
    samples: bool = False
    identity: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """A claim with what was found."""

    claim: Claim
    finding: Finding


def judge(claim: Claim, evidence: Evidence) -> Judged:
    """Apply a claim's rule; where data are missing the claim is not tested, and the finding says what is missing.

    Doubts about the equilibrium of the samples that the rule used are added to the finding's words, if it uses any.
    """
    evidence.forget_used()
    try:
        finding = claim.judge(evidence)
    except MissingEvidenceError as reason:
        return Judged(claim, Finding(Verdict.UNTESTED, str(reason)))
    doubt = evidence.doubt() if claim.samples else ""
    return Judged(claim, replace(finding, measured=f"{finding.measured} {doubt}") if doubt else finding)
