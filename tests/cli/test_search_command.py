"""``rbmscape search``: carries out a plan, writes both pages, and says what is wrong in a line."""

from __future__ import annotations

import json

import pytest

from rbmscape.cli.main import DONE, FAILED, main

PLAN = """
factor = 2
validation = 0.25
[data]
source = "bars-and-stripes"
options = { image_shape = [3, 3] }
[search]
hidden = [2, 3]
learning_rate = [0.1, 0.5]
[recipe]
epochs = 4
engine = "reference"
batch_size = 7
n_chains = 5
gibbs_steps = 1
"""


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "stripes.toml"
    path.write_text(PLAN)
    return path


def test_a_search_is_carried_out_reported_and_continued(plan, capsys):
    assert main(["search", str(plan), "--workers", "1", "--scheduler", "tcp://a:1"]) != DONE
    assert main(["search", str(plan)]) == DONE
    out = capsys.readouterr().out
    assert "The best is the run searches/stripes/best" in out
    place = plan.parent / "searches" / "stripes"
    table = json.loads((place / "search.json").read_text())
    assert [row["best"] for row in table["candidates"]] == [True, False, False, False]
    assert table["test_log_likelihood"]["converged"]
    assert "concerns" in table["quality"]
    page, best = ((place / name).read_text() for name in ("report.html", "best/report.html"))
    assert page.count("<tr>") == 5
    assert "which neither training nor the choice has seen" in page
    assert best.count("<svg") >= 1
    assert '<th scope="row">learning_rate</th>' in best
    assert main(["search", str(place)]) == DONE
    assert "0 tasks done" in capsys.readouterr().out
    assert main(["evaluate", str(place / "best")]) == DONE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("hidden = [2, 3]", "hidden = []"), "hidden needs a list of at least one value"),
        (("learning_rate =", "learning_rat ="), "did you mean 'learning_rate'"),
        (("factor = 2", "factor = 5"), "4 candidates, fewer than the factor 5"),
        (("[recipe]", "[recipes]"), "did you mean 'recipe'"),
        (("[search]", "[recipe.search]"), "has no [search] with lists of values"),
        (("validation = 0.25", "validation = 2"), "validation"),
    ],
)
def test_a_plan_that_is_none_is_refused_before_anything_is_written(plan, change, message, capsys):
    plan.write_text(PLAN.replace(*change))
    assert main(["search", str(plan)]) == FAILED
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert not (plan.parent / "searches").exists()


def test_a_plan_of_a_search_is_none_of_a_study(plan, capsys):
    assert main(["study", str(plan)]) == FAILED
    assert "carry it out with rbmscape search" in capsys.readouterr().err


def test_a_directory_without_a_search_is_refused(plan, capsys):
    assert main(["search", "."]) == FAILED
    assert "holds no search" in capsys.readouterr().err
