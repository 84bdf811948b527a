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
    data = evidence.data("rotational_symmetry", "divergence", "excess", "null_mean", "shuffled", "mean")
    excess = data.excess.values
    known = np.isfinite(excess)
    limit = _null_threshold(data, int(known.sum()))
    above = int((excess[known] > limit).sum())
    if not above and int(data.attrs["n_null"]) < _ENOUGH_NULL:
        raise MissingEvidenceError(
            f"{data.attrs['n_null']} random matrices do not settle the null level: the largest excess is "
            f"{float(np.nanmax(excess)):.1f} of its standard deviations, {limit:.1f} are called for"
        )
    verdict = Verdict.HOLDS if above == known.sum() else Verdict.PART if above else Verdict.FAILS
    parts = [
        f"{float(data['mean'].sel(hidden=m)):.2e} (untrained {float(data.null_mean.sel(hidden=m)):.2e}, "
        "shuffled entries "
        f"{float(data.shuffled.sel(hidden=m)):.2e}) at M = {m}"
        for m in data.hidden.values
    ]
    words = (
        f"Divergence in nats, mean over replicas: {in_words(parts)}. {above} of {int(known.sum())} runs stand "
        "above the "
        f"null level, which calls for {limit:.1f} of its standard deviations; the smallest excess is "
        f"{float(np.nanmin(excess)):.1f}."
    )
    numbers = tuple(
        Number(f"divergence, M = {m}", float(data["mean"].sel(hidden=m)), unit="nat") for m in data.hidden.values
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
        one = data.sel(recipe=name)
        first = one.overlap.isel(mode=0).max("checkpoint").dropna("replica").values
        matched = one.matched.isel(mode=0).max("checkpoint").dropna("replica").values
        if not first.size:
            continue
        parts.append(f"{name}: {first.min():.2f} to {first.max():.2f} (any mode: {matched.min():.2f} or more)")
        numbers.append(Number(f"best overlap of mode 1 with component 1, {name}", float(first.mean())))
        if name == recipe:
            verdict = (
                Verdict.HOLDS if (first >= _ALIGNED).all()
                else Verdict.PART if (matched >= _ALIGNED).all() or (first >= _ALIGNED).any()
                else Verdict.FAILS
            )  # fmt: skip
    if verdict is Verdict.UNTESTED:
        raise MissingEvidenceError("the overlap with principal components is not known for any run")
    chance = normal_threshold(1) / math.sqrt(evidence.n_visible)
    words = f"Best overlap during training: {'; '.join(parts)}. Random directions stay below {chance:.2f}."
    return Finding(verdict, words, tuple(numbers), evidence.describe(recipe))


def _estimate(data: xr.Dataset, name: str, place: int) -> Estimate:
    return Estimate(float(data[name].values[place]), float(data[f"{name}_stderr"].values[place]))


def _significant(larger: Estimate, smaller: Estimate, comparisons: int) -> bool:
    error = math.hypot(larger.stderr, smaller.stderr)
    return larger.value - smaller.value > normal_threshold(comparisons, sides=1) * error


def _global(evidence: Evidence) -> Finding:
    data = evidence.data("hierarchy", "printed_pixels_changed", "printed_area", "printed_spread")
    pixels, area, spread = (
        [_estimate(data, f"printed_{name}", place) for place in (0, 1)] for name in ("pixels_changed", "area", "spread")
    )
    tests = [_significant(pair[0], pair[1], 3) for pair in (pixels, area, spread) if math.isfinite(pair[0].value)]
    verdict = Verdict.HOLDS if all(tests) else Verdict.PART if any(tests) else Verdict.FAILS
    words = (
        f"A turn of modes 1 and 2 changes {pixels[0]} pixels in a box of {area[0]} of the image, ten turns among later "
        f"modes {pixels[1]} in {area[1]}; {spread[0]} and {spread[1]} pixels share the change."
    )
    numbers = (
        Number.of("pixels changed, modes 1 and 2", pixels[0], "pixels"),
        Number.of("pixels changed, later modes", pixels[1], "pixels"),
    )
    return Finding(verdict, words, numbers, evidence.describe(evidence.main))


def _local(evidence: Evidence) -> Finding:
    data = evidence.data("hierarchy", "printed_connected", "printed_connected_random", "printed_area")
    patch, control = _estimate(data, "printed_connected", 1), _estimate(data, "printed_connected_random", 1)
    area = [_estimate(data, "printed_area", place) for place in (0, 1)]
    if not math.isfinite(patch.value):
        raise MissingEvidenceError("the data are no images, so that local has no meaning")
    tests = [_significant(patch, control, 2), _significant(area[0], area[1], 2)]
    verdict = Verdict.HOLDS if all(tests) else Verdict.PART if any(tests) else Verdict.FAILS
    words = (
        f"After ten turns among later modes the largest connected patch holds {patch} of the changed pixels, against "
        f"{control} for as many pixels in random places; their box covers {area[1]} of the image, that of modes "
        "1 and 2 "
        f"{area[0]}."
    )
    numbers = (
        Number.of("share of the largest patch, later modes", patch),
        Number.of("share of the largest patch, random places", control),
    )
    return Finding(verdict, words, numbers, evidence.describe(evidence.main))


def _flips(evidence: Evidence) -> Finding:
    data = evidence.data("hierarchy", "pixels_changed", "spread")
    pixels, shared = _estimate(data, "pixels_changed", 0), _estimate(data, "spread", 0)
    rest = data.pixels_changed.values[1:]
    share = pixels.value / evidence.n_visible
    most = bool((pixels.value >= rest).all())
    verdict = Verdict.HOLDS if share >= _TOGETHER and most else Verdict.PART if share >= _TOGETHER else Verdict.FAILS
    words = (
        f"Half a turn of the first two modes changes {pixels} pixels at once, {100 * share:.1f} % of the image, "
        "shared by "
        f"{shared} pixels; the most that later pairs of modes change is {rest.max() if rest.size else 0:.1f}."
    )
    numbers = (Number.of("pixels changed by the first pair of modes", pixels, "pixels"),)
    return Finding(verdict, words, numbers, evidence.describe(evidence.main))


def _order(evidence: Evidence) -> Finding:
    data = evidence.data("evolution", "departure", "singular_value")
    left = data.departure.values
    final = data.singular_value.isel(update=-1).values
    known = np.isfinite(left)
    if known.sum() < _LEAST_MODES:
        raise MissingEvidenceError(f"{int(known.sum())} modes have left the random bulk, {_LEAST_MODES} are needed")
    rho, pvalue = rank_correlation(left[known], -final[known])
    sure = rho > 0 and pvalue < FALSE_ALARM
    verdict = Verdict.FAILS if not sure else Verdict.HOLDS if rho > 0.5 else Verdict.PART
    words = (
        f"{int(known.sum())} modes leave the random bulk, from update {left[known].min():.0f} to "
        f"{left[known].max():.0f}; "
        f"the rank correlation of that update with the final rank of the singular value is {rho:.2f} (p = "
        f"{pvalue:.1g})."
    )
    numbers = (
        Number("rank correlation of departure and final rank", rho),
        Number("modes that left the bulk", int(known.sum()), unit="modes"),
    )
    return Finding(verdict, words, numbers, evidence.describe(evidence.main))


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
        "Holds if the divergence of every run exceeds the level of random matrices, in part if some do; "
        "one-sided t-test "
        "with the number of those matrices, 1 % false alarms over all runs. Undecided where none does and fewer than 8 "
        "random matrices were turned.",
        _broken, "rotational_symmetry",
    ),
    Claim(
        "random-state-moments", "5.1, equation 51, figure 5",
        "Uniformly random states have mean ½ΣU and standard deviation ½ in every mode, trained or not.",
        "Every mode of both layers, untrained and trained, against these values; in part if only one of the two models "
        "agrees. Normal test, 0.1 % false alarms over all.",
        _random_states, "gaussianity",
    ),
    Claim(
        "principal-components", "5 and 5.2",
        "The first singular vector aligns with the principal component of the data.",
        "Overlap of mode 1 with component 1 at its best checkpoint. Holds if 0.8 or more in every replica of "
        "the recipe "
        "nearest to the paper's; in part if only another mode reaches it, or some replicas.",
        _principal, "alignment",
    ),
    Claim(
        "top-modes-global", "5.2, figure 6",
        "Turning the first modes changes images globally.",
        "Holds if a turn by π of modes 1 and 2 changes more pixels, in a larger box, shared by more pixels, than ten "
        "turns among later modes; in part if some of these. Normal tests, 0.1 % false alarms for all.",
        _global, "hierarchy",
    ),
    Claim(
        "later-modes-local", "5.2, figure 6",
        "Turning later modes changes images locally.",
        "Holds if the changed pixels are more connected than as many in random places and lie in a smaller box than "
        "those of modes 1 and 2; in part if one of these. Normal tests, 0.1 % false alarms for both.",
        _local, "hierarchy",
    ),
    Claim(
        "first-mode-flips-many", "5.2",
        "Half a turn of the principal vectors flips many bits together, as in a ferromagnet.",
        "Holds if at least 5 % of the units change and no later pair of modes changes more; in part if only the first.",
        _flips, "hierarchy",
    ),
    Claim(
        "hierarchical-order", "5 and 5.2",
        "Modes are learned one after the other, the dominant ones first.",
        "Spearman's rank correlation of the update at which a mode leaves the random bulk with its final rank. "
        "Holds if "
        "above 0.5 with p below 0.1 %, in part if positive with that p.",
        _order, "evolution",
    ),
)  # fmt: skip
"""In the paper's order."""
