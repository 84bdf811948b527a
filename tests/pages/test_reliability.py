"""docs/reliability.md is what its script makes of the recorded results, and they record nothing lost."""

from __future__ import annotations

from benchmarks import reliability


def test_the_page_is_made_by_its_script():
    assert reliability.PAGE.read_text(encoding="utf-8") == reliability.page()


def test_nothing_was_lost():
    commands = reliability.record("faults")["commands"]
    assert {"train", "train ptt", "evaluate", "sample", "analyze", "report"} <= commands.keys()
    assert [words for one in commands.values() for words in one["wrong"]] == []
    assert reliability.record("digests")["share"] < 0.02
