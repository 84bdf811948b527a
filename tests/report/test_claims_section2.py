"""Rules of section 2 on synthetic estimates, on both sides of their thresholds."""

import numpy as np
import pytest
import xarray as xr

from rbmscape.report.evidence import LIKELIHOOD
from rbmscape.report.findings import Check, Number, Verdict

HOLDS, PART, FAILS, UNTESTED = Verdict.HOLDS, Verdict.PART, Verdict.FAILS, Verdict.UNTESTED


def estimates(curves, stderr=0.1, hidden=(100, 500), replicas=3, bounds=None, noise=0.0, converged=1.0, **extra):
    """Recipe to (M to curve over four checkpoints, at epochs 1, 2, 3 and 4); replicas scatter by ``noise``.

    ``bounds`` are gap, verdict and equilibrium of the starts of a bracket; ``extra`` are more variables.
    """
    shape = (len(curves), len(hidden), replicas, 4)
    values = np.full(shape, np.nan)
    scatter = np.linspace(-1, 1, replicas) * noise if replicas > 1 else np.zeros(1)
    for r, by_size in enumerate(curves.values()):
        for h, m in enumerate(hidden):
            if m in by_size:
                values[r, h] = np.asarray(by_size[m])[None, :] + scatter[:, None]
    dims = ("recipe", "hidden", "replica", "update")
    error = np.where(np.isfinite(values), stderr, np.nan)
    epoch = np.broadcast_to(np.arange(1.0, 5.0), shape)
    data = xr.Dataset(
        {"log_likelihood": (dims, values), "stderr": (dims, error), "epoch": (dims, epoch)},
        coords={"recipe": list(curves), "hidden": list(hidden), "replica": range(replicas), "update": [1, 2, 3, 4]},
    )
    data["converged"] = xr.where(data.log_likelihood.notnull(), converged, np.nan)
    if bounds is not None:
        gap, bracketed, starts = bounds
        data["lower"], data["upper"] = data.log_likelihood - gap / 2, data.log_likelihood + gap / 2
        data["lower_stderr"] = data["upper_stderr"] = data.stderr
        data["bracketed"] = xr.where(data.log_likelihood.notnull(), bracketed, np.nan)
        data["starts_equilibrated"] = xr.where(data.log_likelihood.notnull(), starts, np.nan)
    for name, value in extra.items():
        data[name] = (dims, np.broadcast_to(value, shape).astype(float))
    return {LIKELIHOOD: data}


def level(*ends):
    """Curves that rise and level off at the given values."""
    return {m: [end - 40, end - 5, end, end] for m, end in zip((100, 500, 1200), ends, strict=False)}


DIPPING = level(-120, -125, -90)
RISING = {100: [-150, -125, -120, -110], 500: [-140, -120, -110, -90]}
FALLING = {100: [-110, -115, -120, -150], 500: [-90, -95, -110, -140]}


def methods(better, worse, steps=(1, 10, 100), ends=(-90, -95), **options):
    """Two methods at several numbers of Gibbs steps, at M = 100."""
    names = {
        ("pcd", 10): "recommended",
        ("cd", 10): "cd",
        ("rdm", 10): "rdm",
    }
    found = {}
    for k, pair in zip(steps, np.broadcast_to(ends, (len(steps), 2)), strict=True):
        for method, end in zip((better, worse), pair, strict=True):
            found[names.get((method, k), f"{method}-{k}")] = {100: [0, 0, 0, end]}
    return estimates(found, hidden=(100,), **options)


def directions(ahead, back):
    """A check of annealing both ways in place of a Dataset."""
    numbers = (Number("AIS", ahead, 0.1, "nat"), Number("reverse", back, 0.1, "nat"))
    return {"ais-directions": Check("a check", True, numbers)}


CASES = [
    ("ais-bounds", directions(1.0, -1.0), HOLDS),
    ("ais-bounds", directions(-1.0, 1.0), FAILS),
    ("ais-bounds", directions(-0.01, 0.01), UNTESTED),
    ("ais-bounds", directions(1.0, 1.0), UNTESTED),
    ("likelihood-rises", estimates({"paper": RISING}), HOLDS),
    ("likelihood-rises", estimates({"paper": RISING | {500: [-140, -80, -90, -80]}}), PART),
    ("likelihood-rises", estimates({"paper": RISING | {500: [-90, -90, -90, -90]}}), PART),
    ("likelihood-rises", estimates({"paper": FALLING}), FAILS),
    ("likelihood-rises", estimates({"paper": RISING}, stderr=100.0), FAILS),
    # points of another estimator do not count: the rise is that of annealing's own bias
    ("likelihood-rises", estimates({"paper": RISING}, estimator=[1, 2, 2, 2]), HOLDS),
    ("likelihood-rises", estimates({"paper": RISING}, estimator=[1, 1, 1, 2]), UNTESTED),
    ("likelihood-rises", estimates({"paper": RISING | {500: [0, -120, -110, -90]}}, estimator=[1, 2, 2, 2]), HOLDS),
    # what is not converged has no error, and no rule tests with it
    ("likelihood-rises", estimates({"paper": FALLING}, converged=0.0), UNTESTED),
    ("likelihood-rises", estimates({"paper": FALLING}, stderr=np.nan), UNTESTED),
    ("likelihood-orders", estimates({"paper": level(-110, -90)}, noise=0.5), HOLDS),
    ("likelihood-orders", estimates({"paper": level(-110, -130)}, noise=0.5), FAILS),
    ("likelihood-orders", estimates({"paper": level(-110, -110)}, noise=0.5), UNTESTED),
    ("likelihood-orders", estimates({"paper": level(-110)}, hidden=(100,)), UNTESTED),
    ("likelihood-orders", estimates({"paper": DIPPING}, hidden=(100, 500, 1200), noise=0.5), PART),
    ("likelihood-orders", estimates({"paper": level(-110, -130)}, noise=0.5, converged=0.0), UNTESTED),
    ("likelihood-orders", estimates({"paper": level(-110, -90)}, stderr=np.nan), UNTESTED),
    # annealing in one direction gives no verdict on itself; exact sums need none
    ("likelihood-orders", estimates({"paper": level(-110, -130)}, noise=0.5, converged=np.nan), UNTESTED),
    ("likelihood-orders", estimates({"paper": level(-110, -90)}, stderr=0.0, noise=0.5, converged=np.nan), HOLDS),
    # larger layers that are still learning may pass the smaller ones
    ("likelihood-orders", estimates({"paper": level(-110) | {500: [-170, -160, -150, -130]}}, noise=0.5), UNTESTED),
    ("brackets-close", estimates({"paper": RISING}, bounds=(0.2, 1.0, 1.0)), HOLDS),
    ("brackets-close", estimates({"paper": RISING}, bounds=(0.2, 0.5, 1.0)), PART),
    ("brackets-close", estimates({"paper": RISING}, bounds=(3.0, 0.0, 1.0)), FAILS),
    ("brackets-close", estimates({"paper": RISING}, bounds=(-3.0, 1.0, 1.0)), FAILS),
    # annealing back from states that are no samples says nothing about annealing
    ("brackets-close", estimates({"paper": RISING}, bounds=(3.0, 0.0, 0.0)), UNTESTED),
    ("brackets-close", estimates({"paper": RISING}, bounds=(-3.0, 0.0, 0.0)), UNTESTED),
    ("brackets-close", estimates({"paper": RISING}), UNTESTED),
    ("cd-beats-rdm", methods("cd", "rdm", (10,), (-120, -150), noise=0.5), HOLDS),
    ("cd-beats-rdm", methods("cd", "rdm", (10,), (-150, -120), noise=0.5), FAILS),
    ("cd-beats-rdm", methods("cd", "rdm", (10, 100), ((-120, -150), (-120, -120)), noise=0.5), PART),
    ("cd-beats-rdm", methods("cd", "rdm", (10,), (-120, -120.1)), UNTESTED),
    ("cd-beats-rdm", estimates({"cd": {100: [0, 0, 0, -120]}}), UNTESTED),
    ("cd-beats-rdm", methods("cd", "rdm", (10,), (-120, -150), noise=0.5, converged=0.0), UNTESTED),
    ("pcd-beats-cd", methods("pcd", "cd"), HOLDS),
    ("pcd-beats-cd", methods("pcd", "cd", (10,)), PART),
    ("pcd-beats-cd", methods("pcd", "cd", ends=((-90, -95), (-90, -90), (-95, -90))), PART),
    ("pcd-beats-cd", methods("pcd", "cd", ends=(-95, -90)), FAILS),
    ("pcd-beats-cd", methods("pcd", "cd", stderr=np.nan), UNTESTED),
    ("pcd-beats-cd", methods("pcd", "cd", converged=np.nan), UNTESTED),
    # the paper's recipe differs from cd in more than the method, and is no pair of it
    ("pcd-beats-cd", estimates({"paper": {100: [0, 0, 0, -90]}, "cd": {100: [0, 0, 0, -95]}}), UNTESTED),
]


@pytest.mark.parametrize(("key", "datasets", "verdict"), CASES)
def test_rule(key, datasets, verdict, find):
    assert find(key, datasets).verdict is verdict


def test_the_recipe_nearest_to_the_paper_is_judged_and_named(find):
    data = estimates({"recommended": FALLING, "paper": RISING})
    finding = find("likelihood-rises", data)
    assert finding.verdict is HOLDS
    assert finding.recipe.startswith("paper: plain gradient, Adam 0.001, PCD-10")
    without = {LIKELIHOOD: data[LIKELIHOOD].sel(recipe=["recommended"])}
    assert find("likelihood-rises", without).recipe.startswith("recommended: centered gradient, SGD 0.8")


@pytest.mark.parametrize("replicas", [1, 2])
def test_fewer_than_three_pairs_of_runs_decide_nothing(find, replicas):
    few = methods("pcd", "cd", (10,), (-90, -190), replicas=replicas)
    finding = find("pcd-beats-cd", few)
    assert finding.verdict is UNTESTED
    assert f"have {replicas} of the 3 pairs" in finding.measured


def test_false_alarms_of_pairs_are_as_rare_as_stated(find):
    """1000 studies of three pairs at two K without a difference: 10 are expected to show one, 25 with p < 1e-4."""
    generator = np.random.default_rng(5)
    decided = 0
    plain = methods("pcd", "cd", (10, 100), (-90, -90), stderr=1e-3)[LIKELIHOOD].isel(update=[-1])
    for _ in range(1000):
        noise = generator.normal(size=plain.log_likelihood.shape)
        data = plain.assign(log_likelihood=plain.log_likelihood + noise)
        decided += find("pcd-beats-cd", {LIKELIHOOD: data}).verdict is not UNTESTED
    assert 1 <= decided <= 24


def test_false_alarms_of_the_rise_are_as_rare_as_stated(find):
    """400 studies whose likelihood stays where it is: fewer than 3 are said to rise anywhere (expected 0.4)."""
    generator = np.random.default_rng(4)
    alarms = 0
    for _ in range(400):
        data = estimates({"paper": {100: [-100, -100, -100, -100]}}, hidden=(100,), replicas=2)
        data[LIKELIHOOD]["log_likelihood"] += generator.normal(scale=0.1, size=data[LIKELIHOOD].log_likelihood.shape)
        alarms += find("likelihood-rises", data).verdict is not FAILS
    assert alarms < 3
