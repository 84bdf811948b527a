"""Thresholds have the false-alarm rates that they state, and reject what they should."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from rbmscape.figures.registry import figure_names
from rbmscape.report.claims import CLAIMS
from rbmscape.report.claims.section6 import _factorial
from rbmscape.report.evidence import Evidence
from rbmscape.report.findings import MissingEvidenceError, Verdict
from rbmscape.report.rules import (
    in_words,
    last_known,
    mean_over,
    normal_threshold,
    rank_correlation,
    separation,
    slope,
    t_threshold,
)
from rbmscape.runs.config import TrainingConfig
from rbmscape.stats import Estimate
from rbmscape.study.plan import read_plan
from rbmscape.study.profiles import profile

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_thresholds_are_quantiles():
    assert normal_threshold() == pytest.approx(3.2905, abs=1e-4)
    assert normal_threshold(sides=1) == pytest.approx(3.0902, abs=1e-4)
    assert normal_threshold(100) == pytest.approx(4.4172, abs=1e-4)
    assert t_threshold(2) == pytest.approx(9.9248, abs=1e-4)
    assert t_threshold(1e9) == pytest.approx(normal_threshold(1, 0.01), abs=1e-4)


@pytest.mark.parametrize("replicas", [2, 5])
def test_separation_of_equal_sizes_is_called_as_rarely_as_stated(replicas):
    """1 % of 4000 pairs of samples with one law may differ; 0.5 to 1.5 % covers four standard errors, less for two."""
    generator = np.random.default_rng(replicas)
    called = 0
    for _ in range(4000):
        one, other = (mean_over(generator.normal(size=replicas), np.zeros(replicas)) for _ in range(2))
        difference, limit = separation(one, other)
        called += abs(difference.value) > limit * difference.stderr
    assert called / 4000 < 0.0163
    difference, limit = separation(Estimate(0.0, 0.1, 3), Estimate(1.0, 0.1, 3))
    assert difference.value > limit * difference.stderr


def test_mean_has_the_larger_error():
    assert mean_over([1.0, 3.0], [0.1, 0.1]).stderr == pytest.approx(1.0)
    assert mean_over([1.0, 1.0], [3.0, 4.0]).stderr == pytest.approx(2.5)
    assert mean_over([1.0], [0.5]) == Estimate(1.0, 0.5, 1.0)


def test_what_has_no_error_is_never_compared():
    """NaN is larger and smaller than nothing, so that rules of either form would fall through to a verdict."""
    unsettled = mean_over([1.0, 3.0], [0.1, np.nan])
    assert np.isnan(unsettled.stderr)
    for pair in ((unsettled, Estimate(0.0, 0.1)), (Estimate(0.0, 0.1), unsettled)):
        with pytest.raises(MissingEvidenceError, match="not converged"):
            separation(*pair)


def test_trends():
    x = np.arange(10.0)
    found, pvalue = slope(x, 2 * x + np.tile([0.1, -0.1], 5))
    assert found.z_score(2.0) < 3
    assert pvalue < 1e-6
    assert rank_correlation(x, -x)[0] == pytest.approx(-1.0)
    assert slope(x, np.tile([1.0, -1.0], 5))[1] > 0.05


def test_last_known_and_lists():
    curve = xr.DataArray([np.nan, 1.0, np.nan], dims="update")
    assert last_known(curve, "update") == 1
    assert last_known(curve * np.nan, "update") is None
    assert [in_words(parts) for parts in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]


def test_ledger_is_complete_and_in_our_words():
    assert len(CLAIMS) >= 40
    assert len({claim.key for claim in CLAIMS}) == len(CLAIMS)
    assert all(len(claim.rule) > 60 and claim.statement.endswith(".") for claim in CLAIMS)
    assert {claim.figure for claim in CLAIMS} <= set(figure_names())


def test_evidence_knows_recipes(make_evidence):
    evidence = make_evidence()
    assert evidence.main == "paper"
    assert evidence.like_the_paper(["cd", "recommended"]) == "recommended"
    assert evidence.updates_per_epoch("paper") == 100
    assert list(evidence.siblings("cd", "rdm")) == [("cd", "rdm"), ("cd-100", "rdm-100")]
    assert list(evidence.siblings("pcd", "cd")) == [("recommended", "cd"), ("pcd-1", "cd-1"), ("pcd-100", "cd-100")]
    assert list(evidence.differ_in("weight_std", evidence.recipes)) == [("paper", "wide")]
    assert evidence.alike("paper", "sgd", "optimizer")
    assert not evidence.alike("recommended", "sgd", "optimizer"), "the gradient differs as well"
    assert evidence.describe("rdm") == "rdm: centered gradient, SGD 0.8, Rdm-10, 40 epochs"
    assert make_evidence(recipes={"only": TrainingConfig()}).like_the_paper() == "only"


def transition(equilibrated):
    return xr.Dataset(
        {
            "measured": (("replica", "mode"), [[60.0]]),
            "measured_mean": ("mode", [60.0]),
            "measured_mean_stderr": ("mode", [3.0]),
            "predicted_mean": ("mode", [55.0]),
            "predicted_mean_stderr": ("mode", [2.0]),
            "samples_equilibrated": (("replica", "update"), [equilibrated]),
        },
        coords={"update": [0, 100, 500]},
    )


def test_doubts_about_samples_stand_under_claims_that_use_them(find):
    doubt = "Samples of 'transitions' at 1 of 3 models are not shown to be in equilibrium."
    late = find("ferromagnetic-transition", {"transitions": transition([1.0, 1.0, 0.0])})
    assert late.measured.endswith(doubt)
    sure = find("ferromagnetic-transition", {"transitions": transition([1.0, 1.0, 1.0])})
    assert "equilibrium" not in sure.measured
    early = find("ferromagnetic-transition", {"transitions": transition([1.0, 0.0, 1.0])})
    assert early.verdict is Verdict.UNTESTED
    course = xr.Dataset(
        {
            name: (("hidden", "checkpoint"), [values])
            for name, values in {
                "epoch": [0.0, 5.0, 10.0],
                "data_w_mean": [5.0, 0.0, 0.1],
                "data_u_mean": [0.0, 1.0, 2.0],
                "data_w_sd": [1.0] * 3,
                "data_u_sd": [1.0] * 3,
                "singular_value": [0.5, 10.0, 20.0],
                "samples_equilibrated": [0.0] * 3,
            }.items()
        },
        coords={"hidden": [500]},
    )
    data_only = find("w-flattens", {"symmetry_breaking": course})
    assert data_only.verdict is Verdict.PART
    assert "equilibrium" not in data_only.measured


def test_identities_are_few_and_marked():
    assert {claim.key for claim in CLAIMS if claim.identity} == {
        "energy-splits",
        "random-state-moments",
        "rates-are-levels",
        "gaussian-diffusion-diverges",
        "constraint-confines",
    }


def test_evidence_without_equilibrium_is_missing(make_evidence):
    for data, words in (
        (xr.Dataset(attrs={"samples_equilibrated": 0, "samples_objections": "R-hat 1.3"}), "equilibrium: R-hat 1.3"),
        (xr.Dataset(), "not shown to be in equilibrium"),
        (xr.Dataset({"samples_equilibrated": ("update", [1.0, 0.0])}), "not shown to be in equilibrium"),
    ):
        with pytest.raises(MissingEvidenceError, match=words):
            make_evidence({"gallery": data}).equilibrium("gallery")
    make_evidence({"gallery": xr.Dataset({"samples_equilibrated": ("update", [0.0, 1.0])})}).equilibrium("gallery")
    early = make_evidence({"gallery": xr.Dataset({"samples_equilibrated": ("update", [0.0, 1.0])})})
    with pytest.raises(MissingEvidenceError):
        early.equilibrium("gallery", last=False)


def plan_of(name):
    return read_plan(EXAMPLES / f"{name}.toml") if name in ("methods", "spectral-gap") else profile(name)


def evidence_of(plan):
    recipes = {name: TrainingConfig(**values) for name, values in plan.recipes.items()}
    return Evidence(lambda _name: xr.Dataset(), recipes, 784, 50_000)


def test_plans_have_the_recipes_that_rules_compare():
    """Methods in three pairs of runs at K = 1, 10 and 100, and the gap one change at a time after 100 epochs."""
    methods = evidence_of(plan_of("methods"))
    assert [methods.recipes[one].gibbs_steps for one, _ in methods.siblings("pcd", "cd")] == [10, 1, 100]
    assert list(methods.siblings("cd", "rdm")) == [("cd-10", "rdm-10")]
    assert plan_of("methods").replicas >= 3
    for name in ("laptop", "paper"):
        plan = plan_of(name)
        pair = next(evidence_of(plan).siblings("pcd", "cd"))
        assert all(plan.scopes[recipe].replicas >= 3 for recipe in pair if recipe in plan.scopes)
    for name in ("spectral-gap", "paper"):
        evidence = evidence_of(plan_of(name))
        found = _factorial(evidence, set(evidence.recipes))
        assert found == {"plain, Adam": "paper", "plain, SGD": "sgd", "centred, Adam": "centered"}
        assert {evidence.recipes[recipe].epochs for recipe in found.values()} == {100}
