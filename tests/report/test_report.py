"""The report is self-contained, accessible, and says what the numbers say."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import re
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import xarray as xr
from tests.conftest import browser

from rbmscape.errors import StudyError
from rbmscape.report.build import SYMBOLS, missing_figures, write_report
from rbmscape.report.claims import CLAIMS
from rbmscape.report.errata import ERRATA
from rbmscape.report.findings import Verdict
from rbmscape.report.ledger import COLUMNS
from rbmscape.report.runs import NO_VERDICT, headlines, mean_by_size, order_sentence, rise_sentence, run_rows
from rbmscape.report.words import duration, format_estimate, format_number, real_minus
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
        figure_options={"gallery": {"n_samples": 3, "sampling": {"n_chains": 20, "budget": 1e9}}},
        figures=("likelihood", "gallery"),
        ledger=True,
    )
    return run_study(plan, tmp_path_factory.mktemp("report") / "s", progress=False)


@pytest.fixture(scope="module")
def text(study):
    failures = {"train/M0009-r0": "no <memory>", "figure/landscapes": "no room for it"}
    return write_report(study, failures).read_text(encoding="utf-8")


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
    assert {"gallery", "likelihood", "runs", "methods", "errata", "ledger"} <= inside
    assert inside <= named
    assert len(outside) == 6
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


def test_ledger_shows_every_claim_with_verdict_rule_and_numbers(text, study):
    record = json.loads((study.directory / "results" / "claims.json").read_text(encoding="utf-8"))
    assert [claim["key"] for claim in record["claims"]] == [claim.key for claim in CLAIMS]
    page = Page(text)
    ids = {attrs["id"] for attrs in page.all("tr") if "id" in attrs}
    assert {f"claim-{claim.key}" for claim in CLAIMS} | {f"erratum-{erratum.key}" for erratum in ERRATA} == ids
    rows = {cells[1]: cells for cells in page.cells if len(cells) == 4}
    for claim, judged in zip(CLAIMS, record["claims"], strict=True):
        cells = rows[claim.statement]
        assert cells[0] == claim.section
        assert judged["verdict"] in cells[2]
        assert SYMBOLS[Verdict(judged["verdict"])] in cells[2]
        assert claim.rule in cells[3]


def test_summary_counts_the_verdicts(text, study):
    record = json.loads((study.directory / "results" / "claims.json").read_text(encoding="utf-8"))
    tiles = re.findall(r"<b>(\d+) <span[^>]*>.</span></b><span>([a-z ]+)</span>", text)
    assert {verdict: int(count) for count, verdict in tiles} == record["counts"]
    assert sum(record["counts"].values()) == sum(not claim.identity for claim in CLAIMS)
    assert sum(record["identities"].values()) == sum(claim.identity for claim in CLAIMS)
    assert {claim["key"] for claim in record["claims"] if claim["identity"]} == {c.key for c in CLAIMS if c.identity}
    assert record["counts"]["not tested at this profile"] > 30
    assert text.index("claims of the paper, judged") < text.index("<nav")


def test_claims_of_this_study_are_judged_from_its_estimates(study, text):
    record = json.loads((study.directory / "results" / "claims.json").read_text(encoding="utf-8"))
    claims = {claim["key"]: claim for claim in record["claims"]}
    assert claims["likelihood-rises"]["verdict"] in {"holds", "holds in part", "does not hold here"}
    assert claims["likelihood-rises"]["recipe"].startswith("recommended: centered gradient")
    assert claims["gap-33-35"]["verdict"] == "not tested at this profile"
    assert "spectral_gap" in claims["gap-33-35"]["measured"]
    assert all(erratum["agrees"] for erratum in record["errata"] if erratum["key"] != "training-methods")


def test_table_of_the_ledger_is_tidy(study, text):
    table = list(csv.reader(io.StringIO((study.directory / "results" / "claims.csv").read_text(encoding="utf-8"))))
    assert tuple(table[0]) == COLUMNS
    assert all(len(row) == len(COLUMNS) for row in table)
    assert {row[0] for row in table[1:]} == {claim.key for claim in CLAIMS}
    numbers = [row for row in table[1:] if row[4]]
    assert numbers
    assert all(np.isfinite(float(row[5])) and float(row[6]) >= 0 for row in numbers)


def test_missing_figures_are_named_with_reasons(text, study):
    assert "not in this study&#39;s plan" in text
    named = dict(missing_figures(study, study.records(), {}))
    assert len(named) == 10
    whole = study.config.replace(figures=("likelihood", "landscapes"))
    other = type("S", (), {"config": whole})()
    reasons = dict(missing_figures(other, study.records(), {"figure/landscapes": "no room for it"}))
    assert reasons["Energy landscapes, untrained and trained"] == "no room for it"


def test_tables_have_headers_that_name_their_cells(text):
    page = Page(text)
    assert all(attrs.get("scope") in ("col", "row") for attrs in page.all("th"))
    assert all("aria-describedby" in attrs for attrs in page.all("table"))
    regions = [attrs for attrs in page.all("div") if attrs.get("role") == "region"]
    assert all(attrs["tabindex"] == "0" and attrs["aria-label"] for attrs in regions)
    assert ":focus-visible" in text


def contrast(first, second):
    def luminance(colour):
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


def test_colours_can_be_read_in_every_scheme(text):
    """WCAG AA: 4.5 for text, on the page and on the soft background."""
    schemes = re.findall(r":root \{(.*?)\}", text, re.DOTALL)
    assert len(schemes) == 3
    for scheme in schemes:
        colours = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", scheme))
        for name in ("ink", "quiet", "accent", "warn", "holds", "part", "fails", "untested"):
            for ground in ("paper", "soft"):
                assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)
    assert contrast("#777777", "#ffffff") < 4.5


@pytest.mark.browser
def test_page_does_not_scroll_sideways_on_a_phone(text, study, tmp_path):
    """Chromium lays the page out 360 pixels wide and says how wide its content is."""
    inner, content = laid_out(study.directory / "report.html", tmp_path)
    assert 300 < inner <= 360
    assert content <= inner
    wide = tmp_path / "wide.html"
    wide.write_text(text.replace("</main>", '<p style="width:400px">too wide</p></main>'))
    inner, content = laid_out(wide, tmp_path)
    assert content > inner


def laid_out(page, folder):
    """Width of the view and of the content, in pixels."""
    frame = folder / "frame.html"
    probe = (
        "<script>onload = () => { const f = document.querySelector('iframe').contentDocument.documentElement;"
        "document.body.dataset.widths = `${f.clientWidth} ${f.scrollWidth}`; }</script>"
    )
    frame.write_text(
        f'<body><iframe src="file://{page}" style="width:360px;height:640px;border:0"></iframe>{probe}</body>'
    )
    command = [browser(), "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
    shown = subprocess.run(
        [*command, f"--user-data-dir={folder / 'profile'}", "--dump-dom", f"file://{frame}"],
        capture_output=True, text=True, timeout=120, check=True,
    ).stdout  # fmt: skip
    return tuple(map(int, re.search(r'data-widths="(\d+) (\d+)"', shown).groups()))


def test_a_study_without_runs_is_refused(study, tmp_path):
    (tmp_path / "study.json").write_text((study.directory / "study.json").read_text())
    with pytest.raises(StudyError, match="nothing to report"):
        write_report(type(study)(tmp_path))


@pytest.mark.parametrize(
    ("best", "words"),
    [
        ({10: (-100.0, 0.5, 2), 20: (-90.0, 0.5, 2)}, "grows significantly with every step"),
        ({10: (-100.0, 1.0, 2), 20: (-90.0, 1.0, 2)}, "10 and 20 units may differ by chance"),  # 7.1 of 9.9 errors
        ({10: (-100.0, 1.0, 5), 20: (-90.0, 1.0, 5)}, "grows significantly with every step"),  # 7.1 of 3.4 errors
        ({10: (-90.0, 0.5, 2), 20: (-100.0, 0.5, 2), 30: (-80.0, 0.5, 2)}, "it falls from 10 to 20 units"),
        ({10: (-90.0, 0.5, 2), 20: (-100.0, math.nan, 2)}, "not all likelihoods of M = 20 are converged"),
    ],
)
def test_order_of_sizes_is_said_with_its_certainty(best, words):
    assert words in order_sentence({size: Estimate(*pair) for size, pair in best.items()})


def test_the_error_of_the_rows_stands_beside_that_of_the_sum(study, text):
    """Exact sums have no error of ln Z, and 14 rows have one of their mean."""
    for row in run_rows(study):
        assert row.likelihood.stderr == 0.0
        scores = (
            study.runs[next(key for key in study.runs if str(key) == row.name)]
            .load()
            .free_energy(study.config.data.load().train)
        )
        assert row.row_stderr == pytest.approx(float(scores.std()) / len(scores) ** 0.5, rel=1e-4)
        assert f"<td>{row.row_stderr:.2f}</td>" in text


def test_sizes_are_not_ordered_by_estimates_without_a_verdict(study):
    exact = run_rows(study)
    assert NO_VERDICT not in headlines(study, exact)
    annealed = [replace(row, likelihood=Estimate(row.likelihood.value, 0.1, 50.0)) for row in exact]
    assert NO_VERDICT in headlines(study, annealed)
    assert not any("grows" in line or "differ by chance" in line for line in headlines(study, annealed))


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
    assert [format_number(x, 1) for x in (None, float("nan"), -2.04)] == ["–", "–", "−2.0"]
    assert real_minus("at -2.5, 3 - 6 and 1e-12 of M0016-r0, [-3") == "at −2.5, 3 - 6 and 1e-12 of M0016-r0, [−3"


def test_rows_of_brackets_have_both_bounds(study):
    estimates = study.result("likelihood")
    bracketed = estimates.assign(
        lower=estimates.log_likelihood - 1.0,
        upper=estimates.log_likelihood + 1.0,
        lower_stderr=estimates.stderr + 0.1,
        upper_stderr=estimates.stderr + 0.1,
        converged=estimates.log_likelihood * 0.0 + 1.0,
    )
    other = type("S", (), {"runs": study.runs, "result": lambda _self, _name: bracketed})()
    for row in run_rows(other):
        assert row.lower.value == row.likelihood.value - 1.0
        assert row.upper.value == row.likelihood.value + 1.0
        assert row.converged is True
    assert all(row.converged is None for row in run_rows(study))
