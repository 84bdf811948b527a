"""Claims of sections 5.1 and 5.2: rotational symmetry, random states, and the hierarchy of modes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from rbmscape.report.evidence import Evidence
from rbmscape.report.findings import Finding, MissingEvidenceError, Number, Verdict
from rbmscape.report.rules import FALSE_ALARM, in_words, normal_threshold, rank_correlation, t_threshold
from rbmscape.report.verdicts import Claim
from rbmscape.stats import Estimate

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

__all__ = ["CLAIMS"]

_ALIGNED = 0.8
_TOGETHER = 0.05
_LEAST_MODES = 5
_ENOUGH_NULL = 8


def _paramagnetic(evidence: Evidence) -> Finding:
    bosons = evidence.data("bosons", "bare", "dressed").isel(update=0)
    bare, dressed = float(bosons.bare.max()), float(bosons.dressed.max())
    verdict = Verdict.HOLDS if max(bare, dressed) < 1 else Verdict.PART if min(bare, dressed) < 1 else Verdict.FAILS
    words = f"At the first checkpoint the largest βλ/4 is {bare:.3f} and the largest dressed value {dressed:.3f}."
    numbers = (Number("largest βλ/4", bare), Number("largest dressed singular value", dressed))
    return Finding(verdict, words, numbers, evidence.describe(evidence.main))


def _null_threshold(data: xr.Dataset, comparisons: int) -> float:
    """Null standard deviations for an excess that is measured from n_null matrices; one-sided."""
    n_null = int(data.attrs["n_null"])
    return t_threshold(n_null - 1, comparisons, sides=1) * math.sqrt(1.0 + 1.0 / n_null)


def _symmetric_before(evidence: Evidence) -> Finding:
    data = evidence.data("rotational_symmetry", "along", "null_mean", "null_sd", "update")
    first = data.isel(checkpoint=0)
    if not (first["update"] == 0).all():
        raise MissingEvidenceError("the first checkpoint that was turned is not the untrained model")
    excess = np.abs(((first.along - data.null_mean) / data.null_sd).values)
    limit = _null_threshold(data, 2 * excess.size)
    inside = int((excess <= limit).sum())
    verdict = Verdict.HOLDS if inside == excess.size else Verdict.PART if inside else Verdict.FAILS
    words = (
        f"Untrained, the divergence is {in_words([f'{v:.2e}' for v in first.along.values])} nats at M = "
        f"{in_words([str(m) for m in data.hidden.values])}: at most {excess.max():.1f} standard deviations from the "
        f"level of {data.attrs['n_null']} random matrices."
    )
    numbers = (Number("largest deviation from the null level", float(excess.max()), unit="null standard deviations"),)
    return Finding(verdict, words, numbers, evidence.describe(evidence.main))


def _broken(evidence: Evidence) -> Finding:
    data = evidence.data("rotational_symmetry", "divergence", "null_mean", "haar_mean", "haar_sd", "shuffled", "mean")
    excess = ((data.divergence - data.haar_mean) / data.haar_sd).values
    known = np.isfinite(excess)
    limit = _null_threshold(data, int(known.sum()))
    above = int((excess[known] > limit).sum())
    if not above and int(data.attrs["n_null"]) < _ENOUGH_NULL:
        raise MissingEvidenceError(
            f"{data.attrs['n_null']} random matrices do not settle the level: the largest excess is "
            f"{float(np.nanmax(excess)):.1f} of its standard deviations, {limit:.1f} are called for"
        )
    verdict = Verdict.HOLDS if above == known.sum() else Verdict.PART if above else Verdict.FAILS
    parts = [
        f"{float(data['mean'].sel(hidden=m)):.2e} (same spectrum between random vectors "
        f"{float(data.haar_mean.sel(hidden=m)):.2e}, untrained {float(data.null_mean.sel(hidden=m)):.2e}, shuffled "
        f"entries {float(data.shuffled.sel(hidden=m)):.2e}) at M = {m}"
        for m in data.hidden.values
    ]
    words = (
        f"Divergence in nats, mean over replicas: {in_words(parts)}. {above} of {int(known.sum())} runs stand above "
        f"the level of their own spectrum between random vectors, which calls for {limit:.1f} of its standard "
        f"deviations; the smallest excess is {float(np.nanmin(excess)):.1f}."
    )
    numbers = tuple(
        Number(f"{name}, M = {m}", float(data[column].sel(hidden=m)), unit="nat")
        for m in data.hidden.values
        for name, column in (("divergence", "mean"), ("level of the same spectrum", "haar_mean"))
    )
    return Finding(verdict, words, numbers, evidence.describe(evidence.main))


def _random_states(evidence: Evidence) -> Finding:
    data = evidence.data("gaussianity", "mean", "sampled_mean", "sampled_std", "exact_kurtosis")
    n_states = float(data.attrs["n_states"])
    mean_z = np.abs(data.sampled_mean - data["mean"]) / (0.5 / math.sqrt(n_states))
    width_error = 0.5 * np.sqrt(np.maximum(data.exact_kurtosis - 1.0, 1e-12) / (4.0 * n_states))
    width_z = np.abs(data.sampled_std - 0.5) / width_error
    worst = {
        str(model): (float(mean_z.sel(model=model).max()), float(width_z.sel(model=model).max()))
        for model in data.model.values
    }
    limit = normal_threshold(2 * mean_z.size)
    good = [max(pair) <= limit for pair in worst.values()]
    verdict = Verdict.HOLDS if all(good) else Verdict.PART if any(good) else Verdict.FAILS
    parts = [
        f"{model}: means within {mean:.1f} and standard deviations within {width:.1f} standard errors"
        for model, (mean, width) in worst.items()
    ]
    words = f"All modes of both layers, {n_states:.0f} states; {'; '.join(parts)} (threshold {limit:.1f})."
    numbers = tuple(
        Number(f"largest deviation of a {what}, {model}", value, unit="standard errors")
        for model, pair in worst.items()
        for what, value in zip(("mean", "standard deviation"), pair, strict=True)
    )
    return Finding(verdict, words, numbers, evidence.describe(evidence.main))


def _principal(evidence: Evidence) -> Finding:
    data = evidence.data("alignment", "overlap", "matched")
    recipe = evidence.like_the_paper(data.recipe.values.tolist())
    parts, numbers = [], []
    verdict = Verdict.UNTESTED
    for name in data.recipe.values.tolist():
        first = data.overlap.sel(recipe=name).isel(mode=0).dropna("replica", how="all").transpose("replica", ...)
        if not first.sizes["replica"]:
            continue
        end, best = (np.array(pair) for pair in zip(*map(_end_and_best, first.values), strict=True))
        count = int(np.isfinite(first.values).sum(1).max())
        parts.append(f"{name}: {end.min():.2f} to {end.max():.2f} (best of {count} checkpoints: {best.max():.2f})")
        numbers.append(Number(f"overlap of mode 1 with component 1 at the end, {name}", float(end.mean())))
        numbers.append(Number(f"the same at the best of {count} checkpoints, {name}", float(best.mean())))
        if name == recipe:
            once = (best >= _ALIGNED).any()
            verdict = Verdict.HOLDS if (end >= _ALIGNED).all() else Verdict.PART if once else Verdict.FAILS
    if verdict is Verdict.UNTESTED:
        raise MissingEvidenceError("the overlap with principal components is not known for any run")
    chance = normal_threshold(1) / math.sqrt(evidence.n_visible)
    words = f"At the end of training: {'; '.join(parts)}. Random directions stay below {chance:.2f}."
    return Finding(verdict, words, tuple(numbers), evidence.describe(recipe))


def _end_and_best(values: NDArray[np.float64]) -> tuple[float, float]:
    """Last and largest finite value."""
    finite = values[np.isfinite(values)]
    return float(finite[-1]), float(finite.max())


def _estimate(data: xr.Dataset, name: str, place: int) -> Estimate:
    return Estimate(float(data[name].values[place]), float(data[f"{name}_stderr"].values[place]))


def _significant(larger: Estimate, smaller: Estimate, comparisons: int) -> bool:
    error = math.hypot(larger.stderr, smaller.stderr)
    return larger.value - smaller.value > normal_threshold(comparisons, sides=1) * error


def _sources(evidence: Evidence, *columns: str) -> tuple[xr.Dataset, dict[str, str], str]:
    """The figure's data, what its turned states are with the prefix of their names, and what had to be left out."""
    data = evidence.data("hierarchy", *columns)
    sources = {"of test images": "images_"} if f"images_{columns[0]}" in data else {}
    try:
        evidence.equilibrium("hierarchy")
        return data, {"of samples": ""} | sources, ""
    except MissingEvidenceError as reason:
        if not sources:
            raise
        return data, sources, f" Samples are left out: {reason}."


def _judged(tests: list[bool]) -> Verdict:
    return Verdict.HOLDS if all(tests) else Verdict.PART if any(tests) else Verdict.FAILS


def _global(evidence: Evidence) -> Finding:
    data, sources, left = _sources(evidence, "printed_pixels_changed", "printed_area", "printed_spread")
    tests, parts, numbers = [], [], []
    for words, prefix in sources.items():
        pixels, area, spread = (
            [_estimate(data, f"{prefix}printed_{name}", place) for place in (0, 1)]
            for name in ("pixels_changed", "area", "spread")
        )
        pairs = [pair for pair in (pixels, area, spread) if math.isfinite(pair[0].value)]
        tests += [_significant(pair[0], pair[1], 3 * len(sources)) for pair in pairs]
        parts.append(
            f"From hidden states {words} a turn of modes 1 and 2 changes {pixels[0]} pixels in a box of {area[0]} of "
            f"the image, ten turns among later modes {pixels[1]} in {area[1]}; {spread[0]} and {spread[1]} pixels "
            "share the change."
        )
        numbers.append(Number.of(f"pixels changed, modes 1 and 2, {words}", pixels[0], "pixels"))
        numbers.append(Number.of(f"pixels changed, later modes, {words}", pixels[1], "pixels"))
    return Finding(_judged(tests), " ".join(parts) + left, tuple(numbers), evidence.describe(evidence.main))


def _local(evidence: Evidence) -> Finding:
    data, sources, left = _sources(evidence, "printed_connected", "printed_connected_random", "printed_area")
    tests, parts, numbers = [], [], []
    for words, prefix in sources.items():
        patch, control = (_estimate(data, f"{prefix}printed_{name}", 1) for name in ("connected", "connected_random"))
        area = [_estimate(data, f"{prefix}printed_area", place) for place in (0, 1)]
        if not math.isfinite(patch.value):
            raise MissingEvidenceError("the data are no images, so that local has no meaning")
        count = 2 * len(sources)
        tests += [_significant(patch, control, count), _significant(area[0], area[1], count)]
        parts.append(
            f"From hidden states {words} ten turns among later modes leave {patch} of the changed pixels in the "
            f"largest connected patch, against {control} for as many in random places; their box covers {area[1]} of "
            f"the image, that of modes 1 and 2 {area[0]}."
        )
        numbers.append(Number.of(f"share of the largest patch, later modes, {words}", patch))
        numbers.append(Number.of(f"share of the largest patch, random places, {words}", control))
    return Finding(_judged(tests), " ".join(parts) + left, tuple(numbers), evidence.describe(evidence.main))


def _flips(evidence: Evidence) -> Finding:
    data, sources, left = _sources(evidence, "pixels_changed", "spread")
    many, most, parts, numbers = [], [], [], []
    for words, prefix in sources.items():
        pixels, shared = (_estimate(data, f"{prefix}{name}", 0) for name in ("pixels_changed", "spread"))
        rest = data[f"{prefix}pixels_changed"].values[1:]
        share = pixels.value / evidence.n_visible
        many.append(share >= _TOGETHER)
        most.append(bool((pixels.value >= rest).all()))
        parts.append(
            f"From hidden states {words} half a turn of the first two modes changes {pixels} pixels at once, "
            f"{100 * share:.1f} % of the image, shared by {shared} pixels; the most that later pairs of modes change "
            f"is {rest.max() if rest.size else 0:.1f}."
        )
        numbers.append(Number.of(f"pixels changed by the first pair of modes, {words}", pixels, "pixels"))
    verdict = Verdict.FAILS if not any(many) else Verdict.HOLDS if all(many + most) else Verdict.PART
    return Finding(verdict, " ".join(parts) + left, tuple(numbers), evidence.describe(evidence.main))


def _class(evidence: Evidence) -> Finding:
    data, sources, left = _sources(evidence, "printed_pixels_changed")
    sources = {words: prefix for words, prefix in sources.items() if f"{prefix}class_changed" in data}
    if not sources:
        raise MissingEvidenceError("the data have no labels, so that images have no class")
    tests, parts, numbers = [], [], []
    for words, prefix in sources.items():
        first, later = (_estimate(data, f"{prefix}class_changed", place) for place in (0, 1))
        control = _estimate(data, f"{prefix}class_random", 0)
        count = 2 * len(sources)
        tests += [_significant(first, later, count), _significant(first, control, count)]
        parts.append(
            f"From hidden states {words} a turn of modes 1 and 2 changes the class of {first} of the images, as many "
            f"flips in random places that of {control}, ten turns among later modes that of {later}."
        )
        numbers.append(Number.of(f"share of images whose class changes, modes 1 and 2, {words}", first))
        numbers.append(Number.of(f"share of images whose class changes, later modes, {words}", later))
    accuracy = float(data.attrs.get("class_accuracy", math.nan))
    how = f" The classifier names {100 * accuracy:.0f} % of the test images rightly." if math.isfinite(accuracy) else ""
    return Finding(_judged(tests), " ".join(parts) + how + left, tuple(numbers), evidence.describe(evidence.main))


def _order(evidence: Evidence) -> Finding:
    data = evidence.data("evolution", "departure", "settled", "singular_value")
    final, left = data.singular_value.isel(update=-1).values, np.isfinite(data.departure.values)
    settled = np.where(left, data.settled.values, np.nan)
    known = np.isfinite(settled)
    if known.sum() < _LEAST_MODES or np.ptp(settled[known]) == 0:
        raise MissingEvidenceError(
            f"{int(known.sum())} modes outside the random bulk have learned their final direction, at different "
            f"checkpoints; {_LEAST_MODES} are needed"
        )
    rho, pvalue = rank_correlation(settled[known], -final[known])
    alone, _ = rank_correlation(data.departure.values[left], -final[left])
    sure = rho > 0 and pvalue < FALSE_ALARM
    verdict = Verdict.FAILS if not sure else Verdict.HOLDS if rho > 0.5 else Verdict.PART
    words = (
        f"The final directions of {int(known.sum())} modes are learned from update {settled[known].min():.0f} to "
        f"{settled[known].max():.0f}; the rank correlation of that update with the final rank of the singular value is "
        f"{rho:.2f} (p = {pvalue:.1g}). That of the update at which a value leaves the bulk, which sorting alone makes "
        f"large, is {alone:.2f}."
    )
    numbers = (
        Number("rank correlation of a learned direction and final rank", rho),
        Number("rank correlation of departure and final rank", alone),
        Number("modes whose direction is learned", int(known.sum()), unit="modes"),
    )
    return Finding(verdict, words, numbers, evidence.describe(evidence.main))


_SOURCES = "For hidden states given test images and, where they are in equilibrium, for those of samples as well. "

CLAIMS = (
    Claim(
        "starts-paramagnetic", "5.1",
        "Small random initial weights put the model in its paramagnetic phase.",
        "Holds if the largest βλ/4 and the largest singular value dressed by the data's activities are below 1; in "
        "part if one is.",
        _paramagnetic, "bosons",
    ),
    Claim(
        "untrained-invariant", "5.1, figure 4",
        "Rotations of the singular vectors leave the distribution of untrained weights as it is.",
        "Divergence of the first checkpoint against the level of random matrices, two-sided t-test with their number "
        "(1 % false alarms over all sizes). In part if some sizes deviate.",
        _symmetric_before, "rotational_symmetry",
    ),
    Claim(
        "training-breaks-rotations", "5.1, figure 4",
        "Training breaks the rotational symmetry of the weights' distribution.",
        "The control has each size's own singular values between random (Haar) vectors, so that the vectors alone "
        "differ. Holds if the divergence of every run exceeds its level, in part if some do; one-sided t-test with the "
        "number of such matrices, 1 % false alarms over all runs. Undecided where none does and fewer than 8 were "
        "turned.",
        _broken, "rotational_symmetry",
    ),
    Claim(
        "random-state-moments", "5.1, equation 51, figure 5",
        "Uniformly random states have mean ½ΣU and standard deviation ½ in every mode, trained or not.",
        "Every mode of both layers, untrained and trained, against these values; in part if only one of the two models "
        "agrees. Normal test, 0.1 % false alarms over all.",
        _random_states, "gaussianity", identity=True,
    ),
    Claim(
        "principal-components", "5 and 5.2",
        "The first singular vector aligns with the principal component of the data.",
        "Overlap of mode 1 with component 1. Holds if it is 0.8 or more at the end of training in every replica of the "
        "recipe nearest to the paper's; in part if only at some checkpoint of some replica, the best of as many as are "
        "named.",
        _principal, "alignment",
    ),
    Claim(
        "top-modes-global", "5.2, figure 6",
        "Turning the first modes changes images globally.",
        _SOURCES + "Holds if a turn by π of modes 1 and 2 changes more pixels, in a larger box, shared by more pixels, "
        "than ten turns among later modes; in part if some of these. Normal tests, 0.1 % false alarms for all.",
        _global, "hierarchy", samples=True,
    ),
    Claim(
        "later-modes-local", "5.2, figure 6",
        "Turning later modes changes images locally.",
        _SOURCES + "Holds if the changed pixels are more connected than as many in random places and lie in a smaller "
        "box than those of modes 1 and 2; in part if some of these. Normal tests, 0.1 % false alarms for all. "
        "Undecided for data that are no images.",
        _local, "hierarchy", samples=True,
    ),
    Claim(
        "first-mode-flips-many", "5.2",
        "Half a turn of the principal vectors flips many bits together, as in a ferromagnet.",
        _SOURCES + "Holds if at least 5 % of the units change and no later pair of modes changes more; in part if only "
        "the first, or for one of the two.",
        _flips, "hierarchy", samples=True,
    ),
    Claim(
        "top-modes-class", "5 and 5.2",
        "Turning the first modes changes the class of images, turning later ones does not.",
        _SOURCES + "The class is that of a softmax regression fitted to the training labels. Holds if a turn by π of "
        "modes 1 and 2 changes the class of more images than ten turns among later modes, and than as many flips in "
        "random places; in part if some of these. Normal tests, 0.1 % false alarms for all. Undecided without labels.",
        _class, "hierarchy", samples=True,
    ),
    Claim(
        "hierarchical-order", "5 and 5.2",
        "Modes are learned one after the other, the dominant ones first.",
        "Update from which on the modes outside the random bulk hold half of a mode's final left vector: that a "
        "direction is learned does not follow from sorted values. Spearman's rank correlation with the final rank: "
        "holds if above 0.5 with p below 0.1 %, in part if positive with that p; undecided with fewer than five modes.",
        _order, "evolution",
    ),
)  # fmt: skip
"""In the paper's order."""
