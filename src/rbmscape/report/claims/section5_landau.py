"""Claims of section 5.3: symmetry breaking in the energy landscape."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rbmscape.figures.material import main_size
from rbmscape.report.claims.section3 import of_recipe
from rbmscape.report.evidence import Evidence
from rbmscape.report.findings import Finding, MissingEvidenceError, Number, Verdict
from rbmscape.report.rules import FEW_FALSE_ALARM, in_words, mean_over, normal_threshold, separation, slope
from rbmscape.report.verdicts import Claim
from rbmscape.stats import Estimate

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

__all__ = ["CLAIMS"]

_MEAN_FIELD, _HELD = 0.25, 0.0
_NAMES = {_MEAN_FIELD: "averaged over the other modes (s² = ¼)", _HELD: "others held (s² = 0)"}
_ASYMMETRY = 0.01
_RANDOM_SD = 0.5
_SIZES = 3
_NO_BARRIER = 0.5


def _double_well_early(evidence: Evidence) -> Finding:
    wells = evidence.data("landau_wells", "double_well", "critical_update", "critical_stderr")
    per_epoch = evidence.updates_per_epoch(evidence.main)
    turned, early, parts, numbers = False, False, [], []
    for variance, name in _NAMES.items():
        one = wells.sel(fluctuation=variance).isel(mode=0)
        turns = not bool(one.double_well.values[0]) and bool(one.double_well.values[-1])
        turn = Estimate(float(one.critical_update), float(one.critical_stderr))
        turned |= turns
        if turns:
            early |= variance == _MEAN_FIELD and turn.value <= per_epoch
            parts.append(f"{name}: at update {turn}, {turn.value / per_epoch:.2f} epochs")
            numbers.append(Number.of(f"update of the double well, {name}", turn, "updates"))
        else:
            parts.append(f"{name}: no turn from one well to two")
    verdict = Verdict.HOLDS if early else Verdict.PART if turned else Verdict.FAILS
    return Finding(verdict, f"First mode's free energy (55); {'; '.join(parts)}.", tuple(numbers),
                   evidence.describe(evidence.main))  # fmt: skip


def _measured_wells(evidence: Evidence) -> Finding:
    wells = evidence.data("landau_wells", "mean_force", "mean_force_stderr").isel(shown=-1)
    value, error = wells.mean_force.values, wells.mean_force_stderr.values
    known = np.isfinite(value) & np.isfinite(error) & (error > 0)
    value, error = value[known], error[known]
    if value.size < _SIZES:
        raise MissingEvidenceError("the potential of mean force has fewer than three bins with an error")
    barrier = _barrier(value, error)
    limit = normal_threshold(value.size**2, sides=1)
    words = (
        "-ln P of the last model's Gibbs samples along u of mode 1: the best barrier between two minima is "
        f"{barrier} k_B T high"
    )
    highest = barrier.value + normal_threshold(sides=1) * barrier.stderr
    if barrier.value <= limit * barrier.stderr and highest > _NO_BARRIER:
        raise MissingEvidenceError(f"{words}, which these samples do not resolve; more of them are needed")
    verdict = Verdict.HOLDS if barrier.value > limit * barrier.stderr else Verdict.FAILS
    words = f"{words} ({limit:.1f} standard errors are called for)."
    numbers = (Number.of("barrier", barrier, "k_B T"),)
    return Finding(verdict, words, numbers, evidence.describe(evidence.main))


def _barrier(value: NDArray[np.float64], error: NDArray[np.float64]) -> Estimate:
    """Most significant rise of a curve between two lower places, with its height above the less significant of them."""
    best = Estimate(0.0, float(np.hypot(*np.sort(error)[:2])))
    for top in range(1, value.size - 1):
        sides = []
        for side in (slice(0, top), slice(top + 1, None)):
            rise, own = value[top] - value[side], np.hypot(error[top], error[side])
            place = int((rise / own).argmax())
            sides.append(Estimate(float(rise[place]), float(own[place])))
        lower = min(sides, key=lambda one: one.value / one.stderr)
        if lower.value / lower.stderr > best.value / best.stderr:
            best = lower
    return best


def _transition(evidence: Evidence) -> Finding:
    data = evidence.data("transitions", "measured", "measured_mean", "measured_mean_stderr", "predicted_mean")
    first = data.isel(mode=0)
    seen = np.isfinite(first.measured.values)
    if not seen.any():
        words = "The fluctuations along the first dressed mode never reach their critical size."
        return Finding(Verdict.FAILS, words, (), evidence.describe(evidence.main))
    measured = Estimate(float(first.measured_mean), float(first.measured_mean_stderr))
    predicted = Estimate(float(first.predicted_mean), float(first.predicted_mean_stderr))
    per_epoch = evidence.updates_per_epoch(evidence.main)
    early = bool((first.measured.values[seen] <= per_epoch).all())
    verdict = Verdict.HOLDS if seen.all() and early else Verdict.PART
    words = (
        f"In {int(seen.sum())} of {seen.size} replicas the fluctuations of the first mode become critical, at update "
        f"{measured} (mean), {measured.value / per_epoch:.2f} epochs; the dressed singular value reaches 1 at "
        f"{predicted}."
    )
    numbers = (
        Number.of("critical update, measured", measured, "updates"),
        Number.of("critical update, predicted", predicted, "updates"),
    )
    return Finding(verdict, words, numbers, evidence.describe(evidence.main))


def _main_trained(evidence: Evidence) -> xr.Dataset:
    centres = evidence.data("centres", "random_u", "data_u", "double_well")
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


def _asymmetric(evidence: Evidence) -> Finding:
    wells = evidence.data("landau_wells", "minimum", "double_well")
    for variance, name in _NAMES.items():
        one = wells.sel(fluctuation=variance).isel(update=-1)
        if bool(one.double_well.isel(mode=0)):
            left, right = (float(value) for value in one.minimum.values[:2])
            kind = name
            break
    else:
        raise MissingEvidenceError("the first mode's free energy has one well at the last checkpoint")
    offset = abs(left + right) / (right - left)
    verdict = Verdict.HOLDS if offset > _ASYMMETRY else Verdict.FAILS
    words = f"Minima at u = {left:.2f} and {right:.2f} ({kind}): their middle is off by {offset:.2f} of their distance."
    return Finding(verdict, words, (Number("offset of the middle over the distance of the minima", offset),),
                   evidence.describe(evidence.main))  # fmt: skip


def _flattens(evidence: Evidence) -> Finding:
    data = evidence.data("symmetry_breaking", "data_w_mean", "data_w_sd", "data_u_mean", "data_u_sd", "singular_value")
    one = data.isel(hidden=0)
    epoch = one.epoch.values
    late = np.isfinite(epoch) & (epoch >= epoch[np.isfinite(epoch)].max() / 2)
    if late.sum() < 2:
        raise MissingEvidenceError("fewer than two checkpoints lie in the second half of training")
    drift = {
        z: float(np.ptp(one[f"data_{z}_mean"].values[late]) / one[f"data_{z}_sd"].values[late].mean()) for z in "uw"
    }
    start, end = (4.0 + float(one.singular_value.values[k]) for k in (0, np.flatnonzero(late)[-1]))
    still, softer = drift["w"] <= 1.0, end < start
    verdict = Verdict.HOLDS if still and softer else Verdict.PART if still or softer else Verdict.FAILS
    words = (
        f"In the second half of training the data's mean w moves by {drift['w']:.2f} of its standard deviation (u: "
        f"{drift['u']:.2f}); the curvature 4/β + λ of the potential along w goes from {start:.2f} to {end:.1f}: the "
        f"course is {'flat' if still else 'not flat'}, the potential becomes {'softer' if softer else 'steeper'}."
    )
    numbers = (
        Number("late drift of w", drift["w"], unit="standard deviations"),
        Number("curvature along w at the end", end, unit="k_B T"),
    )
    return Finding(verdict, words, numbers, evidence.describe(evidence.main))


def _persists(evidence: Evidence) -> Finding:
    runs = _main_trained(evidence)
    sizes = sorted(set(runs.hidden.values.tolist()))
    if len(sizes) < 2:
        raise MissingEvidenceError("the study has one size of the hidden layer only")
    share = {
        variance: [float(_of_size(runs, m).double_well.sel(fluctuation=variance).mean()) for m in sizes]
        for variance in _NAMES
    }
    if min(share[_MEAN_FIELD]) == 1.0:
        verdict = Verdict.HOLDS
    else:
        verdict = Verdict.PART if min(share[_HELD]) == 1.0 or max(share[_MEAN_FIELD]) > 0 else Verdict.FAILS
    parts = [
        f"{name}: {in_words([f'{100 * s:.0f} % at M = {m}' for m, s in zip(sizes, share[variance], strict=True)])}"
        for variance, name in _NAMES.items()
    ]
    numbers = tuple(
        Number(f"share of replicas with two wells, M = {m}, s² = {variance:g}", s)
        for variance in _NAMES
        for m, s in zip(sizes, share[variance], strict=True)
    )
    words = f"Trained models whose first mode has a double well; {'; '.join(parts)}."
    return Finding(verdict, words, numbers, _recipe(evidence, runs))


def _approaches(evidence: Evidence) -> Finding:
    runs = _main_trained(evidence)
    sizes = sorted(set(runs.hidden.values.tolist()))
    first = runs.isel(mode=0)
    distance = np.abs(first.random_u - first.data_u).values
    if len(sizes) < _SIZES or distance.size < _SIZES + 1:
        raise MissingEvidenceError(
            f"a trend needs {_SIZES} sizes with replicas, found {len(sizes)} sizes and {distance.size} runs"
        )
    trend, pvalue = slope(np.log(first.hidden.values), distance)
    if pvalue > FEW_FALSE_ALARM:
        raise MissingEvidenceError(
            f"the trend of the distance with ln M, {trend}, is not resolved by {distance.size} runs"
        )
    verdict = Verdict.HOLDS if trend.value < 0 else Verdict.FAILS
    parts = []
    numbers = [Number.of("slope of |μ - data| in ln M", trend)]
    for m in sizes:
        of_size = np.abs(_of_size(runs, m).random_u - _of_size(runs, m).data_u).values
        mean = mean_over(of_size, np.zeros(of_size.size))
        parts.append(f"{mean} at M = {m}")
        numbers.append(Number.of(f"|μ - data| along u of mode 1, M = {m}", mean))
    words = f"Distance of μ from the test data along u of mode 1: {in_words(parts)}; slope in ln M {trend}."
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
        "double-well-early", "5.3, figure 7",
        "Early in training the first mode's free energy turns from a single into a double well.",
        "Holds if the free energy averaged over the other modes (s² = ¼) has one well at the first checkpoint, two at "
        "the last, and turns within the first epoch; in part if it turns later or only with the others held (s² = 0). "
        "Exact numbers.",
        _double_well_early, "landau_wells",
    ),
    Claim(
        "double-well-measured", "5.3, figure 7",
        "The first mode's effective potential in the trained model is a double well.",
        "Holds if the potential of mean force of Gibbs samples has a barrier between two minima; fails if one "
        "of ½ k_B T "
        "is excluded; otherwise undecided. Normal test, 0.1 % false alarms over all pairs of bins.",
        _measured_wells, "landau_wells",
    ),
    Claim(
        "ferromagnetic-transition", "5.2 and 5.3",
        "The first mode goes through a transition like that from paramagnet to ferromagnet early in training.",
        "Holds if in every replica the fluctuations along the first dressed mode reach the critical size of their "
        "Gaussian theory within the first epoch, in part if in some or later.",
        _transition, "transitions",
    ),
    Claim(
        "mu-opposite", "5.3, figure 7",
        "At M = 500 the centre μ of random states and the data lie on opposite sides of the saddle along u of mode 1.",
        "Holds if so in every replica of the size nearest to 500, in part if in some. Exact numbers.",
        _opposite, "centres",
    ),
    Claim(
        "double-well-asymmetric", "5.3",
        "The double well is not symmetric: the symmetry is broken explicitly.",
        "Holds if the middle of the two minima is off the saddle by more than 1 % of their distance. Exact numbers.",
        _asymmetric, "landau_wells",
    ),
    Claim(
        "w-flattens", "5.3, figure 7",
        "The mode i = M + 1 (w of the first pair) becomes flat.",
        "Two readings. Course: in the second half of training the data's mean w moves by no more than its standard "
        "deviation. Potential: its curvature 4/β + λ falls. Holds if both, in part if one.",
        _flattens, "symmetry_breaking",
    ),
    Claim(
        "double-well-all-sizes", "5.3, figure 8",
        "The double well appears for all sizes of the hidden layer.",
        "Holds if every trained model has it with s² = ¼; in part if some have, or all with s² = 0. Exact numbers.",
        _persists, "centres",
    ),
    Claim(
        "mu-approaches-minimum", "5.3, figure 8",
        "As the hidden layer grows, μ nears the minimum of the effective potential.",
        "Least-squares slope of the distance between μ and the test data's mean (u of mode 1) in ln M over all runs. "
        "Holds if negative, fails if positive, with p below 1 %; otherwise undecided.",
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
