"""The report is self-contained, accessible, and says what the numbers say."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import xarray as xr

from rbmscape.errors import StudyError
from rbmscape.report.build import (
    duration,
    format_estimate,
    mean_by_size,
    order_sentence,
    rise_sentence,
    run_rows,
    write_report,
)
from rbmscape.stats import Estimate
from rbmscape.study.config import DataPlan, LikelihoodPlan, StudyConfig
from rbmscape.study.study import run_study

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Collects tags and checks that they are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[list[str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "tr":
            self.cells.append([])
        elif tag in ("td", "th"):
            self.cells[-1].append("")

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and {"td", "th"} & set(self._open):
            self.cells[-1][-1] += data.strip()

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    plan = StudyConfig(
        name="<tiny> & small",
        data=DataPlan(source="bars-and-stripes", options={"image_shape": (3, 3)}),
        hidden=(2, 5),
        recipes={"recommended": {"epochs": 12, "checkpoint_epochs": (6, 12), "engine": "reference", "gibbs_steps": 1}},
        likelihood=LikelihoodPlan(method="exact"),
        figure_options={"gallery": {"n_samples": 3}},
        figures=("likelihood", "gallery"),
    )
    return run_study(plan, tmp_path_factory.mktemp("report") / "s", progress=False)[0]


@pytest.fixture(scope="module")
def text(study):
    return write_report(study, {"train/M0009-r0": "no <memory>"}).read_text(encoding="utf-8")


def test_nothing_is_fetched_from_elsewhere(text):
    page = Page(text)
    assert not page.all("script")
    assert not page.all("link")
    for image in page.all("img"):
        assert image["src"].startswith("data:image/png;base64,")
        assert base64.b64decode(image["src"].partition(",")[2])[:4] == b"\x89PNG"
    assert not re.search(r"(src|href)=\"(https?:)?//|url\(|@import", text)
    assert str(__import__("pathlib").Path.cwd()) not in text


def test_links_lead_to_files(text, study):
    page = Page(text)
    links = [attrs["href"] for attrs in page.all("a")]
    named = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    inside = {link[1:] for link in links if link.startswith("#")}
    outside = [link for link in links if not link.startswith("#")]
    assert {"gallery", "likelihood", "runs", "methods"} == inside
    assert inside <= named
    assert len(outside) == 4
    assert all((study.directory / link).is_file() for link in outside)


def test_pictures_have_words_and_their_size(text):
    images = Page(text).all("img")
    assert len(images) == 2
    for image in images:
        assert len(image["alt"]) > 40
        assert int(image["width"]) > 100
        assert int(image["height"]) > 50


def test_page_adapts_to_phones_darkness_and_print(text):
    assert 'name="viewport"' in text
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert Page(text).all("html")[0]["lang"] == "en"


def test_text_of_users_is_escaped(text):
    assert "&lt;tiny&gt; &amp; small" in text
    assert "no &lt;memory&gt;" in text
    assert "<tiny>" not in text


def test_table_holds_the_runs_numbers(text, study):
    rows = {cells[0]: cells for cells in Page(text).cells}
    estimates = study.result("likelihood").sel(recipe="recommended")
    for row in run_rows(study):
        shown = rows[row.name]
        value = float(estimates.log_likelihood.sel(hidden=row.hidden, replica=row.replica, update=12))
        assert float(shown[5].replace("−", "-")) == pytest.approx(value, abs=1e-4)
        assert shown[1:3] == [str(row.hidden), "12"]
        assert row.seconds > 0


def test_a_study_without_runs_is_refused(study, tmp_path):
    (tmp_path / "study.json").write_text((study.directory / "study.json").read_text())
    with pytest.raises(StudyError, match="nothing to report"):
        write_report(type(study)(tmp_path))


@pytest.mark.parametrize(
    ("best", "words"),
    [
        ({10: (-100.0, 1.0), 20: (-90.0, 1.0)}, "at every step, by more than two standard errors"),
        ({10: (-100.0, 5.0), 20: (-90.0, 5.0)}, "10 and 20 units differ by less than two"),
        ({10: (-90.0, 1.0), 20: (-100.0, 1.0), 30: (-80.0, 1.0)}, "it falls from 10 to 20 units"),
    ],
)
def test_order_of_sizes_is_said_with_its_certainty(best, words):
    assert words in order_sentence({size: Estimate(*pair) for size, pair in best.items()})


def test_rise_counts_runs():
    values = np.array([[[-9.0, -8.0, -7.0], [-9.0, -9.5, -7.0]], [[-9.0, np.nan, -9.5], [np.nan, np.nan, -1.0]]])
    curve = xr.DataArray(values, dims=("hidden", "replica", "update"))
    assert "rises in 2 of 3 runs" in rise_sentence(curve)
    assert "neighbouring checkpoints in 1." in rise_sentence(curve)


def test_mean_error_is_the_larger_of_spread_and_own_error(study):
    row = run_rows(study)[0]

    def rows(*pairs):
        return [type(row)("r", 5, k, "a", 1, 1, 1, Estimate(*pair)) for k, pair in enumerate(pairs)]

    spread = mean_by_size(rows((-10.0, 0.1), (-14.0, 0.1)))[5]
    assert spread.value == -12.0
    assert spread.stderr == pytest.approx(2.0)
    assert mean_by_size(rows((-10.0, 3.0), (-10.0, 4.0)))[5].stderr == pytest.approx(2.5)
    assert mean_by_size(rows((-10.0, 3.0)))[5].stderr == pytest.approx(3.0)


def test_words_for_numbers():
    assert [duration(s) for s in (None, 4.04, 200, 7500)] == ["–", "4.0 s", "3 min 20 s", "2 h 05 min"]
    assert format_estimate(None) == "–"
    assert format_estimate(Estimate(-69.83, 0.31)) == "−69.8 ± 0.3"
