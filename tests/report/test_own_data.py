"""A study of one's own data leads with its models: beside baselines, the best by name, and what to do next."""

from __future__ import annotations

import html
import math
import re

import numpy as np
import pytest
from tests.report.test_report import Page

from rbmscape.report.build import write_report
from rbmscape.report.overview import Baseline, Group, best_sentence, groups, next_steps, study_baselines
from rbmscape.report.runs import run_rows
from rbmscape.stats import Estimate
from rbmscape.study.config import DataPlan, LikelihoodPlan, StudyConfig
from rbmscape.study.study import run_study


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Answers of 300 people to eight questions in two camps, from a CSV file with named columns."""
    folder = tmp_path_factory.mktemp("own")
    generator = np.random.default_rng(2)
    camp = generator.integers(0, 2, 300)[:, None]
    rows = (generator.random((300, 8)) < np.where(camp, 0.85, 0.15)).astype(int)
    table = "\n".join([",".join(f"question {k}" for k in range(8)), *(",".join(map(str, row)) for row in rows)])
    (folder / "answers.csv").write_text(table + "\n")
    small = {"epochs": 20, "checkpoint_epochs": (5, 15, 20), "batch_size": 50, "n_chains": 50, "engine": "reference"}
    plan = StudyConfig(
        name="answers",
        data=DataPlan(source=str(folder / "answers.csv"), options={"test_fraction": 0.2}),
        hidden=(2, 4),
        replicas=2,
        recipes={"recommended": small, "slow": small | {"learning_rate": 1e-4}},
        likelihood=LikelihoodPlan(method="exact"),
        figures=("likelihood",),
    )
    return run_study(plan, folder / "our study", progress=False)


@pytest.fixture(scope="module")
def text(study):
    return write_report(study).read_text(encoding="utf-8")


def test_the_page_leads_with_models_and_not_with_the_paper(text, study):
    assert "<title>rbmscape study answers</title>" in text
    page = Page(text)
    assert not any(attrs.get("id", "").startswith(("claim-", "erratum-", "ledger")) for _, attrs in page.tags)
    assert "claims of the paper" not in text
    assert "not in this study" not in text, "figures that the plan leaves out are no gap"
    assert text.index('id="models"') < text.index('id="next"') < text.index("<nav")
    assert not (study.directory / "results" / "claims.json").exists()
    assert "Figure 1" not in text
    plain = html.unescape(text)
    assert "rbmscape explore 'our study'" in plain
    assert "rbmscape.open_study('our study')" in plain
    assert "no units never change" in text
    assert "question 0, question 1, question 2, question 3, question 4, question 5, … question 7" in text


def test_every_recipe_stands_in_the_table_beside_baselines(text, study):
    rows = {tuple(cells[:2]): cells for cells in Page(text).cells if len(cells) == 6}
    assert {(recipe, size) for recipe in ("recommended", "slow") for size in ("2", "4")} <= rows.keys()
    known = study_baselines(study)
    assert [one.name for one in known] == ["independent units", "a mixture of 20 products"]
    assert 8 * math.log(0.5) - 0.5 < known[0].likelihood.value < known[1].likelihood.value < 0
    assert ("independent units", "–") in rows
    ordered = groups(study, run_rows(study))
    assert all(group.converged == group.replicas == 2 for group in ordered), "sums are exact"
    assert [group.likelihood.value for group in ordered] == sorted((g.likelihood.value for g in ordered), reverse=True)


def test_a_recipe_that_learned_nothing_is_seen_against_the_baselines(study, text):
    """At a rate of 1e-4 nothing is learned but the means; the page says so and names what to do."""
    slow = next(group for group in groups(study, run_rows(study)) if group.recipe == "slow")
    mixture = study_baselines(study)[1].likelihood.value
    assert slow.likelihood.value < mixture - 0.1
    steps = re.search(r'id="next".*?</ul>', text, re.DOTALL)[0]
    assert re.search(r"Simpler models know more of the data: .*slow with 2 hidden units below a mixture", steps)
    assert "With 2 replicas the scatter between runs is hardly known" in steps


def group(recipe, value, error=0.1, replicas=3, converged=3, **more):
    return Group(recipe, 100, replicas, Estimate(value, error, float(replicas)), converged, **more)


@pytest.mark.parametrize(
    ("ordered", "words"),
    [
        ([group("a", -80.0), group("b", -90.0)], "The best is a with 100 hidden units: −80.00 ± 0.10 nats"),
        ([group("a", -80.0), group("b", -80.1)], "Not told from it with these replicas: b with 100 hidden units"),
        ([group("a", -80.0, math.nan, converged=0), group("b", -90.0)], "not converged, so that it decides nothing"),
        ([group("a", -80.0), group("b", -90.0, math.nan)], "Not converged and not compared: b with"),
        ([group("a", -80.0, converged=None), group("b", -90.0, converged=None)], "no verdict on itself"),
        ([group("a", -80.0)], "no other recipe or size"),
        ([Group("a", 5, 2, None, None)], "No likelihood was estimated"),
    ],
)
def test_the_best_is_named_with_its_certainty(ordered, words):
    assert words in best_sentence(ordered)


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (group("a", -80.0, converged=None), "Annealing in one direction has no verdict"),
        (group("a", -80.0, converged=1), "Not all likelihoods are converged (a with 100 hidden units)"),
        (group("a", -80.0, gain=Estimate(2.0, 0.1)), "still rises: a with 100 hidden units by 2.00 ± 0.10 nats"),
        (group("a", -80.0, peak=(7.0, -70.0)), "falls again: a with 100 hidden units after epoch 7"),
        (group("a", -95.0), "below independent units"),
    ],
)
def test_what_to_do_follows_from_the_numbers(study, one, words):
    known = [Baseline("independent units", Estimate(-90.0, 0.1)), Baseline("a mixture", Estimate(-100.0, 0.1))]
    said = " ".join(next_steps(study, [one], known))
    assert words in said
    fine = group("a", -80.0, gain=Estimate(0.05, 0.1))
    assert words not in " ".join(next_steps(study, [fine], known))


def test_data_and_models_are_looked_at(study, text):
    judged = re.search(r'id="quality".*?</ul>', text, re.DOTALL)[0]
    records = {name: record["outcome"] for name, record in study.records().items() if name.startswith("quality/")}
    assert len(records) == 4, "the first replica of two recipes and two sizes"
    for name, outcome in records.items():
        said = re.findall(rf"<li>{name.removeprefix('quality/')}: (.*?)</li>", judged)
        assert len(said) == max(1, len(outcome["concerns"]))
    slow = next(outcome for name, outcome in records.items() if "slow" in name and "4" in name)
    assert any(
        "samples can be told from training data" in words and "train longer" in words for words in slow["concerns"]
    )
    assert "A second look at the data:" not in text, "rows of eight questions recur by chance"
