"""Claims of section 3: energy landscapes, singular values, and the kurtosis of reciprocal variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rbmscape.figures.spectrum import panel_name
from rbmscape.report.evidence import Evidence
from rbmscape.report.findings import Finding, MissingEvidenceError, Number, Verdict
from rbmscape.report.rules import in_words, normal_threshold
from rbmscape.report.verdicts import Claim
from rbmscape.stats import Estimate

if TYPE_CHECKING:
    from collections.abc import Iterator

    import xarray as xr

__all__ = ["CLAIMS", "of_recipe"]

_EXACT = 1e-6
_SPREADS = 3.0
_SIMILAR, _ROUGHLY = 1.5, 2.0
_LEAST_MODES = 5
_SMALLEST_OF_PAPER = 500


def of_recipe(dataset: xr.Dataset, recipe: str) -> xr.Dataset:
    """The runs of one recipe; `MissingEvidenceError` where there is none."""
    chosen = np.flatnonzero(dataset.recipe.values == recipe)
    if not chosen.size:
        raise MissingEvidenceError(f"the data hold no run of the recipe {recipe!r}")
    return dataset.isel(run=chosen)


def _identities(evidence: Evidence) -> Finding:
    errors = evidence.data("centres", "sum_error", "saddle_error", "curvature_error")
    names = {
        "sum_error": "sum over modes against the energy",
        "saddle_error": "energy at all saddles against Σ a0 b0/λ",
        "curvature_error": "curvature along u and w against ∓λ",
    }
    worst = {name: float(np.nanmax(errors[name].values)) for name in names}
    good = sum(value <= _EXACT for value in worst.values())
    verdict = Verdict.HOLDS if good == len(worst) else Verdict.PART if good else Verdict.FAILS
    listed = in_words([f"{words}: {worst[name]:.1e}" for name, words in names.items()])
    numbers = tuple(Number(f"largest relative error, {words}", worst[name]) for name, words in names.items())
    return Finding(verdict, f"Largest relative errors over {errors.sizes['run']} trained models: {listed}.", numbers,
                   "all recipes")  # fmt: skip


def _law(evidence: Evidence) -> Finding:
    spectra = evidence.data("random_spectra", "pvalue", "distance")
    pvalues = spectra.pvalue.values
    low = int((pvalues <= 0.05).sum())
    verdict = Verdict.FAILS if low >= min(2, pvalues.size) else Verdict.HOLDS
    listed = in_words([f"p = {p:.2f} at M = {m}" for m, p in zip(spectra.hidden.values, pvalues, strict=True)])
    numbers = tuple(Number(f"p-value, M = {m}", float(p)) for m, p in zip(spectra.hidden.values, pvalues, strict=True))
    largest = float(spectra.distance.max())
    return Finding(verdict, f"Kolmogorov-Smirnov distances of at most {largest:.3f}: {listed}.", numbers)


def _peak(evidence: Evidence) -> Finding:
    spectra = evidence.data("random_spectra", "singular_value", "peak", "law", "law_at")
    generator = np.random.default_rng(0)
    scores, parts, numbers = [], [], []
    for hidden in spectra.hidden.values:
        one = spectra.sel(hidden=hidden)
        values = one.singular_value.values
        found, expected = _mode_of(values[np.isfinite(values)], one.law_at.values, one.law.values, generator)
        scores.append(abs(found.z_score(expected)))
        parts.append(f"{found} (law, smoothed alike: {expected:.3f}; σ√|N-M| = {float(one.peak):.3f}) at M = {hidden}")
        numbers.append(Number.of(f"position of the maximum, M = {hidden}", found, "k_B T"))
        grid = one.law_at.values
        if abs(grid[int(one.law.values.argmax())] - float(one.peak)) > 0.03 * (grid[-1] - grid[0]):
            scores[-1] = np.inf  # the law itself would peak elsewhere
    limit = normal_threshold(len(scores))
    good = sum(score <= limit for score in scores)
    verdict = Verdict.HOLDS if good == len(scores) else Verdict.PART if good else Verdict.FAILS
    return Finding(verdict, f"Maximum of the smoothed density: {in_words(parts)}.", tuple(numbers))


def _mode_of(
    values: NDArray[Any], grid: NDArray[Any], law: NDArray[Any], generator: np.random.Generator
) -> tuple[Estimate, float]:
    """Maximum of a smoothed spectrum with its bootstrap error, and that of the law under the same kernel.

    Singular values repel each other and spread less than independent ones, so that the bootstrap error is an upper
    bound.
    """
    width = 0.08 * (grid[-1] - grid[0])
    fine = np.linspace(grid[0], grid[-1], 201)

    def kernel(at: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(np.exp(-0.5 * ((fine[:, None] - at[None]) / width) ** 2))

    single = kernel(values)
    counts = generator.multinomial(values.size, np.full(values.size, 1.0 / values.size), size=200)
    places = fine[(single @ counts.T).argmax(0)]
    error = max(float(places.std(ddof=1)), float(fine[1] - fine[0]))
    expected = fine[int((kernel(grid) @ law).argmax())]
    return Estimate(float(fine[int(single.sum(1).argmax())]), error), float(expected)


def _near_untrained(evidence: Evidence) -> Finding:
    distance = evidence.data("centres", "median_distance").median_distance
    bare, biased = (float(distance.sel(stage=stage).max()) for stage in ("weights", "initial"))
    if bare <= _SPREADS and biased <= _SPREADS:
        verdict = Verdict.HOLDS
    else:
        verdict = Verdict.PART if min(bare, biased) <= _SPREADS else Verdict.FAILS
    words = (
        f"Median over modes of the data's distance from the saddle, largest of {distance.sizes['run']} runs: "
        f"{bare:.2f} "
        f"standard deviations without biases, {biased:.1f} with the biases that training starts from."
    )
    numbers = (
        Number("median distance, no biases", bare, unit="standard deviations"),
        Number("median distance, initial biases", biased, unit="standard deviations"),
    )
    return Finding(verdict, words, numbers, "all recipes")


def _near_trained(evidence: Evidence) -> Finding:
    centres = evidence.data("centres", "median_distance", "near", "distance")
    recipe = evidence.like_the_paper(centres.recipe.values.tolist())
    runs = of_recipe(centres, recipe).sel(stage="trained")
    near, median = runs.near.values, runs.median_distance.values
    first = runs.distance.isel(mode=slice(3)).values
    leave = int((near < 1.0).sum())
    if (near >= 0.5).all() and leave == near.size:
        verdict = Verdict.HOLDS
    else:
        verdict = Verdict.PART if (near >= 0.5).any() or np.nanmedian(first) <= _SPREADS else Verdict.FAILS
    words = (
        f"In {near.size} trained models {100 * near.min():.0f} to {100 * near.max():.0f} % of the modes have the data "
        f"within {_SPREADS:g} standard deviations of the saddle; the median distance is {np.median(median):.1f}, that "
        f"of the first three modes {np.nanmedian(first):.1f}."
    )
    numbers = (
        Number("share of modes near the saddle, mean over runs", float(near.mean())),
        Number("median distance", float(np.median(median)), unit="standard deviations"),
        Number("distance of the first three modes, median", float(np.nanmedian(first)), unit="standard deviations"),
    )
    return Finding(verdict, words, numbers, evidence.describe(recipe))


def _profiles(spectra: xr.Dataset, groups: list[int]) -> tuple[NDArray[Any], float, int]:
    """Largest ratio between groups of the singular values of one rank, over the ranks outside the bulk in all."""
    ranks = int(min(spectra.outside.values[groups].min(), 100))
    if ranks < _LEAST_MODES:
        raise MissingEvidenceError(
            f"only {ranks} modes have left the random bulk in all models, {_LEAST_MODES} are needed"
        )
    values = np.nanmean(spectra.singular_value.values[groups][:, :, :ranks], axis=1)
    ratios = values.max(0) / values.min(0)
    return ratios, float(ratios.max()), ranks


def _verdict_of_ratio(ratio: float) -> Verdict:
    return Verdict.HOLDS if ratio <= _SIMILAR else Verdict.PART if ratio <= _ROUGHLY else Verdict.FAILS


def _in_the_paper_s_range(spectra: xr.Dataset, groups: list[int]) -> list[int]:
    """The groups with 500 hidden units or more, where there are two."""
    large = [group for group in groups if spectra.hidden.values[group] >= _SMALLEST_OF_PAPER]
    return large if len(large) > 1 else groups


def _similar_sizes(evidence: Evidence) -> Finding:
    spectra = evidence.data("spectrum", "singular_value", "outside")
    by_method = {
        method: _in_the_paper_s_range(spectra, np.flatnonzero(spectra.method.values == method).tolist())
        for method in dict.fromkeys(spectra.method.values.tolist())
    }
    several = {method: groups for method, groups in by_method.items() if len(groups) > 1}
    if not several:
        raise MissingEvidenceError("no recipe was trained with two sizes of the hidden layer")
    found = {method: _profiles(spectra, groups) for method, groups in several.items()}
    worst = max(ratio for _, ratio, _ in found.values())
    parts = [
        f"{method}: at most {ratio:.2f}, median {np.median(ratios):.2f}, over {ranks} ranks"
        for method, (ratios, ratio, ranks) in found.items()
    ]
    numbers = tuple(Number(f"largest ratio between sizes, {method}", ratio) for method, (_, ratio, _) in found.items())
    sizes = sorted({int(spectra.hidden.values[group]) for groups in several.values() for group in groups})
    listed = in_words([str(size) for size in sizes])
    words = f"Ratio between M = {listed} of the singular values of the same rank; {'; '.join(parts)}."
    return Finding(_verdict_of_ratio(worst), words, numbers, ", ".join(several))


def _similar_methods(evidence: Evidence) -> Finding:
    spectra = evidence.data("spectrum", "singular_value", "outside")
    hidden, groups = max(_comparable(evidence, spectra), key=lambda pair: len(pair[1]), default=(0, []))
    if len(groups) < 2:
        raise MissingEvidenceError(
            "no size of the hidden layer was trained by two methods with the same optimiser and gradient"
        )
    ratios, ratio, ranks = _profiles(spectra, groups)
    methods = [str(spectra.method.values[group]) for group in groups]
    words = (
        f"At M = {hidden}, {in_words(methods)}: singular values of the same rank differ by a factor of at most "
        f"{ratio:.2f} (median {np.median(ratios):.2f}) over {ranks} ranks."
    )
    return Finding(
        _verdict_of_ratio(ratio), words, (Number("largest ratio between methods", ratio),), ", ".join(methods)
    )


def _comparable(evidence: Evidence, spectra: xr.Dataset) -> Iterator[tuple[int, list[int]]]:
    """Sizes with the groups of runs whose recipes differ from one of them in the method alone."""
    label = {panel_name(name, config.method): name for name, config in evidence.recipes.items()}
    recipes = [label.get(str(method), "") for method in spectra.method.values]
    for hidden in np.unique(spectra.hidden.values).tolist():
        here = [k for k in np.flatnonzero(spectra.hidden.values == hidden).tolist() if recipes[k]]
        for one in here:
            alike = [k for k in here if evidence.alike(recipes[one], recipes[k], "method")]
            if len({evidence.recipes[recipes[k]].method for k in alike}) > 1:
                yield hidden, alike


def _kurtosis(evidence: Evidence) -> Finding:
    data = evidence.data("kurtosis", "kurtosis", "exact", "stderr", "largest_z")
    intercept = Estimate(float(data.attrs["intercept"]), float(data.attrs["intercept_stderr"]))
    slope = Estimate(float(data.attrs["slope"]), float(data.attrs["slope_stderr"]))
    limit = normal_threshold(3)
    gaussian = abs(intercept.z_score(3.0)) <= limit
    falling = slope.value < -limit * slope.stderr
    worst = float(abs((data.kurtosis - data.exact) / data.stderr).sel(layer="hidden").max())
    exact = worst <= normal_threshold(3 * data.sizes["hidden"])
    good = sum((gaussian, falling, exact))
    verdict = Verdict.HOLDS if good == 3 else Verdict.PART if gaussian else Verdict.FAILS
    words = (
        f"The line through {data.sizes['hidden']} sizes reaches {intercept} at 1/M = 0 with slope {slope} "
        "(exact law: 3 "
        f"and close to -6); means agree with the exact kurtosis within {worst:.1f} standard errors."
    )
    numbers = (Number.of("kurtosis at infinite M", intercept), Number.of("slope in 1/M", slope))
    return Finding(verdict, words, numbers)


_RATIO_RULE = (
    "Singular values outside the random bulk are compared rank by rank (up to 100 ranks, means over replicas). "
    "Holds if no ratio exceeds 1.5, in part up to 2; undecided with fewer than five such values. A rule of size, not a "
    "statistical test."
)

CLAIMS = (
    Claim(
        "energy-splits", "3, equations 15 to 19",
        "The energy is a sum over modes of saddles with energy a0 b0/λ and curvatures plus and minus λ.",
        "Holds if three relative errors, each found from the energy of equation 3 alone, are below 1e-6; in part if "
        "some are.",
        _identities, "landscapes", identity=True,
    ),
    Claim(
        "marchenko-pastur", "3, equation 20, figure 3 a-d",
        "Singular values of random weights follow the Marchenko-Pastur law.",
        "Fails if two sizes or more have p at or below 5 % in the Kolmogorov-Smirnov test calibrated with random "
        "matrices (at most 1.4 % false alarms with four sizes).",
        _law, "random_spectra",
    ),
    Claim(
        "law-peak", "3, after equation 20",
        "The density of the singular values is largest at σ√|N-M|, so that it moves up with the imbalance of "
        "the layers.",
        "Holds if at every size the maximum of the smoothed spectrum agrees with that of the law under the same "
        "kernel, "
        "and the law's own maximum lies at σ√|N-M|; in part if at some sizes. Bootstrap errors, 0.1 % false alarms.",
        _peak, "random_spectra",
    ),
    Claim(
        "data-near-saddle-untrained", "3, figure 2 left",
        "Before training the data gather around the saddle points.",
        "Near: median over modes of the distance at most 3 standard deviations of the data. Holds if so with and "
        "without the biases that training starts from; in part if in one of the two.",
        _near_untrained, "centres",
    ),
    Claim(
        "data-near-saddle-trained", "3, figure 2 right",
        "In trained models data leave some saddle points but do not drift away.",
        "Holds if in every run at least half of the modes, but not all, have the data within 3 standard deviations of "
        "the saddle; in part if in some runs, or for the first three modes.",
        _near_trained, "centres",
    ),
    Claim(
        "spectra-alike-sizes", "3 and 6, figure 3 f",
        "The singular values of trained models are distributed alike for all sizes of the hidden layer.",
        f"{_RATIO_RULE} Sizes below the paper's smallest, 500, are left out where two others remain.",
        _similar_sizes, "spectrum",
    ),
    Claim(
        "spectra-alike-methods", "3, figure 3 f",
        "The singular values of trained models are distributed alike for different training methods.",
        _RATIO_RULE + " Recipes are compared that differ in the method alone, with one optimiser and one gradient.",
        _similar_methods, "spectrum",
    ),
    Claim(
        "kurtosis-gaussian", "4 and figure 3 e",
        "The kurtosis of reciprocal variables is linear in 1/M and reaches the Gaussian 3 for infinite layers.",
        "Holds if the intercept agrees with 3, the slope is negative and the means agree with the exact kurtosis; in "
        "part if only the intercept does. Normal tests, 0.1 % false alarms for all.",
        _kurtosis, "kurtosis",
    ),
)  # fmt: skip
"""In the paper's order."""
