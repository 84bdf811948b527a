"""The claims ledger of a study: judging every claim, and writing the result for people and programs."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import rbmscape
from rbmscape.files import make_directory, write_text
from rbmscape.report.claims import CLAIMS
from rbmscape.report.errata import ERRATA
from rbmscape.report.evidence import Evidence
from rbmscape.report.findings import Check, Number, Verdict
from rbmscape.report.verdicts import Judged, judge

__all__ = ["COLUMNS", "count_verdicts", "identities", "judge_all", "write_ledger"]

COLUMNS = ("claim", "section", "verdict", "recipe", "quantity", "value", "stderr", "unit", "figure")
"""Of ``claims.csv``: one line a number; claims without one have a line with empty numbers."""


def judge_all(evidence: Evidence) -> list[Judged]:
    """Every claim with its verdict, in the paper's order."""
    return [judge(claim, evidence) for claim in CLAIMS]


def count_verdicts(judged: Sequence[Judged]) -> dict[Verdict, int]:
    """How many claims have each verdict, all verdicts listed; identities, which cannot but hold, are not counted."""
    counts = Counter(one.finding.verdict for one in judged if not one.claim.identity)
    return {verdict: counts[verdict] for verdict in Verdict}


def identities(judged: Sequence[Judged]) -> dict[Verdict, int]:
    """The same for the identities, verdicts that occur."""
    return dict(Counter(one.finding.verdict for one in judged if one.claim.identity))


def write_ledger(directory: Path, study_name: str, judged: Sequence[Judged], checks: Mapping[str, Check]) -> None:
    """Write ``claims.json`` (ledger and errata) and ``claims.csv`` (one line a number).

    Raises
    ------
    DiskError : a file cannot be written
    """
    make_directory(directory)
    record = {
        "format": "rbmscape-claims",
        "schema": 1,
        "study": study_name,
        "rbmscape": rbmscape.__version__,
        "counts": {str(verdict): count for verdict, count in count_verdicts(judged).items()},
        "identities": {str(verdict): count for verdict, count in identities(judged).items()},
        "claims": [_claim_record(one) for one in judged],
        "errata": [
            {
                "key": erratum.key,
                "where": erratum.where,
                "printed": erratum.printed,
                "implemented": erratum.implemented,
                "tests": list(erratum.tests),
                "agrees": checks[erratum.key].agrees,
                "measured": checks[erratum.key].measured,
                "numbers": [_number_record(number) for number in checks[erratum.key].numbers],
            }
            for erratum in ERRATA
        ],
    }
    write_text(directory / "claims.json", json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    write_text(directory / "claims.csv", _table(judged))


def _claim_record(one: Judged) -> dict[str, Any]:
    claim, finding = one.claim, one.finding
    return {
        "key": claim.key,
        "section": claim.section,
        "statement": claim.statement,
        "rule": claim.rule,
        "verdict": str(finding.verdict),
        "measured": finding.measured,
        "recipe": finding.recipe,
        "figure": claim.figure,
        "identity": claim.identity,
        "numbers": [_number_record(number) for number in finding.numbers],
    }


def _number_record(number: Number) -> dict[str, Any]:
    """With None for what JSON cannot hold."""
    values = asdict(number)
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else _plain(value)
        for name, value in values.items()
    }


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _table(judged: Sequence[Judged]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in judged:
        claim, finding = one.claim, one.finding
        head = (claim.key, claim.section, str(finding.verdict), finding.recipe)
        for number in finding.numbers:
            value, error = (f"{float(part):.10g}" for part in (number.value, number.stderr))
            writer.writerow((*head, number.quantity, value, error, number.unit, claim.figure))
        if not finding.numbers:
            writer.writerow((*head, "", "", "", "", claim.figure))
    return buffer.getvalue()
