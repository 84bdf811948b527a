"""The documentation's recipe for a figure, followed to the letter."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rbmscape.errors import ConfigError
from rbmscape.report.build import write_report
from rbmscape.study.plan import read_plan
from rbmscape.study.study import run_study

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-figure.md"


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """The module and the plan of the page, where the page says."""
    blocks = dict(re.findall(r"```(python|toml)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
    package = tmp_path / "my_figures"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "outside.py").write_text(blocks["python"], encoding="utf-8")
    (tmp_path / "mine.toml").write_text(blocks["toml"], encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return read_plan(tmp_path / "mine.toml")


def test_a_figure_is_added_as_the_page_says(plan, tmp_path):
    study = run_study(plan, tmp_path / "study", progress=False)
    outcome = study.outcome
    assert outcome.failures == {}
    assert [path.name for _, path in study.figures()] == ["likelihood.png", "my_figures.outside.png"]
    counts = study.result("my_figures.outside").outside
    assert counts.sizes == {"hidden": 2, "replica": 2}
    assert int(counts.max()) <= 4
    page = write_report(study).read_text(encoding="utf-8")
    assert "Modes outside the random bulk" in page
    assert "Modes outside the random bulk by size of the hidden layer: [" in page
    wrong = plan.replace(figure_options={"my_figures.outside": {"false_alarms": 0.05}})
    with pytest.raises(ConfigError, match="no key 'false_alarms'; did you mean 'false_alarm'"):
        run_study(wrong, tmp_path / "wrong", progress=False)
