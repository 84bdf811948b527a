"""Every claim of the ledger is tried on each side of its rule, and nothing else is.

The cases of a section stand in ``CASES`` of ``test_claims_*.py``; here all of them are held against the ledger.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from rbmscape.report.claims import CLAIMS
from rbmscape.report.findings import Verdict

MODULES = sorted(path.stem for path in Path(__file__).parent.glob("test_claims_*.py"))
CASES = [case for name in MODULES for case in import_module(f"tests.report.{name}").CASES]


def required(rule: str) -> set[Verdict]:
    """Verdicts that a rule's words allow with all data there."""
    words = rule.lower()
    found = {Verdict.HOLDS, Verdict.FAILS}
    found |= {Verdict.PART} if "in part" in words else set()
    return found | ({Verdict.UNTESTED} if "undecided" in words else set())


def untried(claims, cases):
    """Claim to the verdicts that its rule allows and no case gives, or that cases give and its rule does not allow."""
    found = {}
    for claim in claims:
        tried = {verdict for key, _, verdict in cases if key == claim.key}
        wanted = required(claim.rule)
        different = (wanted - tried) | (tried - wanted - {Verdict.UNTESTED})
        if different:
            found[claim.key] = different
    return found


def test_each_claim_is_tried_on_each_side_of_its_rule():
    assert untried(CLAIMS, CASES) == {}


def test_no_case_is_of_a_claim_that_is_not_there():
    assert {key for key, _, _ in CASES} == {claim.key for claim in CLAIMS}


@pytest.mark.parametrize("side", list(Verdict))
def test_a_side_that_is_not_tried_is_noticed(side):
    """Leave out all cases of one verdict: every claim whose rule allows it is named."""
    left = [case for case in CASES if case[2] is not side]
    assert {key for key, sides in untried(CLAIMS, left).items() if side in sides} == {
        claim.key for claim in CLAIMS if side in required(claim.rule)
    }


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.key)
def test_without_data_nothing_is_decided(claim, find):
    finding = find(claim.key, {})
    assert finding.verdict is Verdict.UNTESTED
    assert finding.numbers == ()


def test_claims_stand_in_the_order_of_the_paper():
    sections = [claim.section.split(",")[0].split(" ")[0] for claim in CLAIMS]
    assert [section[0] for section in sections] == sorted(section[0] for section in sections)
