"""Claims of section 5.3 on where the centre of random states lies, and on the double well at every size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rbmscape.figures.material import main_size
from rbmscape.report.claims.section3 import of_recipe
from rbmscape.report.claims.section5_landau import AVERAGED, HELD, NAMES
from rbmscape.report.evidence import Evidence
from rbmscape.report.findings import Finding, MissingEvidenceError, Number, Verdict
from rbmscape.report.likelihoods import estimates, levelled_off
from rbmscape.report.rules import FEW_FALSE_ALARM, in_words, mean_over, separation, slope
from rbmscape.report.verdicts import Claim

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CLAIMS"]

_RANDOM_SD = 0.5
_SIZES = 3


def _main_trained(evidence: Evidence) -> xr.Dataset:
    centres = evidence.data("centres", "random_u", "data_u", "random_w", "data_w", "double_well", "epoch")
    return of_recipe(centres, evidence.like_the_paper(centres.recipe.values.tolist())).sel(stage="trained")


def _of_size(runs: xr.Dataset, hidden: int) -> xr.Dataset:
    return runs.isel(run=np.flatnonzero(runs.hidden.values == hidden), mode=0)


def _recipe(evidence: Evidence, runs: xr.Dataset) -> str:
    return evidence.describe(str(runs.recipe.values[0]))


def _opposite(evidence: Evidence) -> Finding:
    runs = _main_trained(evidence)
    size = main_size(sorted(set(runs.hidden.values.tolist())))
    one = _of_size(runs, size)
    opposite = int((one.random_u.values * one.data_u.values < 0).sum())
    total = one.sizes["run"]
    verdict = Verdict.HOLDS if opposite == total else Verdict.PART if opposite else Verdict.FAILS
    sign = np.sign(one.data_u.values)
    mu, data = (mean_over(sign * one[name].values, np.zeros(total)) for name in ("random_u", "data_u"))
    words = (
        f"At M = {size} μ and the test data lie on opposite sides of the saddle in {opposite} of {total} replicas "
        f"(u of mode 1, data's side positive: μ = {mu}, data {data})."
    )
    numbers = (Number.of("μ along u of mode 1", mu), Number.of("data along u of mode 1", data))
    return Finding(verdict, words, numbers, _recipe(evidence, runs))


def _persists(evidence: Evidence) -> Finding:
    runs = _main_trained(evidence)
    sizes = sorted(set(runs.hidden.values.tolist()))
    if len(sizes) < 2:
        raise MissingEvidenceError("the study has one size of the hidden layer only")
    share = {
        variance: [float(_of_size(runs, m).double_well.sel(fluctuation=variance).mean()) for m in sizes]
        for variance in NAMES
    }
    if all(min(share[variance]) == 1.0 for variance in AVERAGED):
        verdict = Verdict.HOLDS
    else:
        some = min(share[HELD]) == 1.0 or max(max(share[variance]) for variance in AVERAGED) > 0
        verdict = Verdict.PART if some else Verdict.FAILS
    parts = [
        f"{name}: {in_words([f'{100 * s:.0f} % at M = {m}' for m, s in zip(sizes, share[variance], strict=True)])}"
        for variance, name in NAMES.items()
    ]
    numbers = tuple(
        Number(f"share of replicas with two wells, M = {m}, s² = {variance:g}", s)
        for variance in NAMES
        for m, s in zip(sizes, share[variance], strict=True)
    )
    words = f"Trained models whose first mode has two wells where states are; {'; '.join(parts)}."
    return Finding(verdict, words, numbers, _recipe(evidence, runs))


def _approaches(evidence: Evidence) -> Finding:
    runs = _main_trained(evidence)
    recipe = str(runs.recipe.values[0])
    sizes = sorted(set(runs.hidden.values.tolist()))
    first = runs.isel(mode=0)
    if len(sizes) < _SIZES or first.sizes["run"] < _SIZES + 1:
        raise MissingEvidenceError(
            f"a trend needs {_SIZES} sizes with replicas, found {len(sizes)} sizes and {first.sizes['run']} runs"
        )
    if np.ptp(first.epoch.values) > 0:
        raise MissingEvidenceError("the runs were not trained for the same number of epochs")
    found = estimates(evidence, "epoch")
    if recipe not in found.recipe.values:
        raise MissingEvidenceError(f"no likelihood says whether the training of {recipe!r} has levelled off")
    levelled_off(found.sel(recipe=recipe), sizes)
    trends, parts, numbers = {}, [], []
    for z in "uw":
        distance = np.abs((first[f"random_{z}"] - first[f"data_{z}"]).values)
        trends[z] = slope(np.log(first.hidden.values), distance)
        means = [
            mean_over(values, np.zeros(values.size)) for values in (distance[first.hidden.values == m] for m in sizes)
        ]
        listed = in_words([f"{mean} at M = {m}" for m, mean in zip(sizes, means, strict=True)])
        parts.append(f"along {z} {listed}, slope in ln M {trends[z][0]}")
        numbers.append(Number.of(f"slope of |μ - data| along {z} in ln M", trends[z][0]))
        numbers += [Number.of(f"|μ - data| along {z}, M = {m}", mean) for m, mean in zip(sizes, means, strict=True)]
    sure = {z: trend.value for z, (trend, pvalue) in trends.items() if pvalue <= FEW_FALSE_ALARM / len(trends)}
    words = f"Distance of μ from the test data's mean in mode 1: {'; '.join(parts)}."
    if not sure:
        raise MissingEvidenceError(f"neither trend is resolved by {first.sizes['run']} runs. {words}")
    nearer = [value < 0 for value in sure.values()]
    verdict = Verdict.HOLDS if all(nearer) and len(sure) == 2 else Verdict.PART if any(nearer) else Verdict.FAILS
    return Finding(verdict, words, tuple(numbers), _recipe(evidence, runs))


def _square(evidence: Evidence) -> Finding:
    runs = _main_trained(evidence)
    sizes = sorted(set(runs.hidden.values.tolist()))
    square = evidence.n_visible
    if square not in sizes or len(sizes) < 2:
        raise MissingEvidenceError(
            f"the study needs M = N = {square} and another size, it has M = {in_words([str(m) for m in sizes])}"
        )
    found = {}
    for m in sizes:
        values = np.abs(_of_size(runs, m).random_u.values)
        found[m] = mean_over(values, np.zeros(values.size))
    nearer = []
    for m in sizes:
        if m != square:
            difference, limit = separation(found[square], found[m])
            nearer.append(difference.value > limit * difference.stderr)
    close = found[square].value <= _RANDOM_SD
    verdict = Verdict.HOLDS if all(nearer) and close else Verdict.PART if close or any(nearer) else Verdict.FAILS
    listed = in_words([f"{found[m]} at M = {m}" for m in sizes])
    words = f"Distance of μ from the saddle along u of mode 1: {listed}."
    numbers = tuple(Number.of(f"|μ| along u of mode 1, M = {m}", found[m]) for m in sizes)
    return Finding(verdict, words, numbers, _recipe(evidence, runs))


CLAIMS = (
    Claim(
        "mu-opposite", "5.3, figure 7",
        "At M = 500 the centre μ of random states and the data lie on opposite sides of the saddle along u of mode 1.",
        "Holds if so in every replica of the size nearest to 500, in part if in some. Exact numbers.",
        _opposite, "centres",
    ),
    Claim(
        "double-well-all-sizes", "5.3, figure 8",
        "The double well appears for all sizes of the hidden layer.",
        "Wells count where bit states can be. Holds if every trained model has two with s² = ¼, or with s² = 1; in "
        "part if some have, or all with s² = 0; undecided with one size only. Exact numbers.",
        _persists, "centres",
    ),
    Claim(
        "mu-approaches-minimum", "5.3, figure 8",
        "As the hidden layer grows, μ nears the minimum of the effective potential.",
        "Least-squares slopes in ln M of the distance between μ and the test data's mean along u and along w of mode "
        "1, over all runs. Holds if both are negative, in part if one is, fails if only positive ones are seen, with p "
        "below 1 % over both; undecided otherwise, and where training has not levelled off at every size (gain in the "
        "last quarter below its error, or 0.1 nats).",
        _approaches, "centres",
    ),
    Claim(
        "mu-on-saddle-square", "5.3, figure 8",
        "With as many hidden as visible units, μ lies close to the saddle.",
        "Holds if at M = N μ is within ½ (the standard deviation of random states) of the saddle and nearer than at "
        "every other size (t-tests, 1 % false alarms each); in part if one of these.",
        _square, "centres",
    ),
)  # fmt: skip
"""In the paper's order."""
