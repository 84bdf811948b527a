"""Claims of section 5.3: symmetry breaking in the energy landscape."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rbmscape.report.evidence import Evidence
from rbmscape.report.findings import Finding, MissingEvidenceError, Number, Verdict
from rbmscape.report.rules import in_words, normal_threshold
from rbmscape.report.verdicts import Claim
from rbmscape.stats import Estimate

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

__all__ = ["AVERAGED", "CLAIMS", "HELD", "NAMES"]

_MEAN_FIELD, _PRINTED, HELD = 0.25, 1.0, 0.0
AVERAGED = (_MEAN_FIELD, _PRINTED)
"""Variances s² of the coordinates averaged over: of equation 46, and as the paper writes it."""
NAMES = {
    _MEAN_FIELD: "averaged over the other modes (s² = ¼)",
    _PRINTED: "with the paper's s² = 1",
    HELD: "others held (s² = 0)",
}
_ASYMMETRY = 0.01
_RANDOM_SD = 0.5
_SIZES = 3
_NO_BARRIER = 0.5


def _double_well_early(evidence: Evidence) -> Finding:
    wells = evidence.data("landau_wells", "wells", "reach", "minimum")
    per_epoch = evidence.updates_per_epoch(evidence.main)
    updates = wells["update"].values
    turned, early, parts, numbers = False, set(), [], []
    for variance, name in NAMES.items():
        one = wells.sel(fluctuation=variance)
        double = one.wells.isel(mode=0).values == 2.0
        if double[0] or not double[-1]:
            parts.append(f"{name}: {_wells_at_the_end(one)}")
            continue
        turned, first = True, len(double) - int(np.argmin(double[::-1]))  # the last stretch of double wells begins
        early |= {variance} if updates[first] <= per_epoch else set()
        parts.append(f"{name}: between updates {updates[first - 1]} and {updates[first]}")
        numbers.append(Number(f"first update of the double well, {name}", float(updates[first]), unit="updates"))
    verdict = Verdict.HOLDS if early >= set(AVERAGED) else Verdict.PART if turned else Verdict.FAILS
    low, high = wells.reach.isel(update=-1, mode=0).values
    words = (
        f"First mode's free energy (55) where bit states can be, at the end from u = {low:.1f} to {high:.1f}; turns "
        f"from one well to two; {'; '.join(parts)}."
    )
    return Finding(verdict, words, tuple(numbers), evidence.describe(evidence.main))


def _wells_at_the_end(one: xr.Dataset) -> str:
    """What keeps it from being a turn from one well to two."""
    minima = one.minimum.isel(update=-1).values
    minima = minima[np.isfinite(minima)]
    where = in_words([f"{u:.1f}" for u in minima])
    if minima.size == 2 and float(one.wells.isel(update=-1, mode=0)) < 2:
        return f"no turn, its minima at u = {where} do not both lie where states are"
    first = int(one.wells.isel(update=0, mode=0))
    return f"no turn, {first} well(s) at the beginning, at the end minima at u = {where}"


def _measured_wells(evidence: Evidence) -> Finding:
    wells = evidence.data("landau_wells", "mean_force", "mean_force_stderr").isel(shown=-1)
    evidence.equilibrium("landau_wells")
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
    _sampled_up_to(first, first.measured.values)
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


def _sampled_up_to(data: xr.Dataset, measured: NDArray[np.float64]) -> None:
    """Demand equilibrium of the samples of each replica up to the checkpoint after its critical update.

    Raises
    ------
    MissingEvidenceError : something speaks against it, or the figure says nothing about it
    """
    if "samples_equilibrated" not in data:
        raise MissingEvidenceError("the figure 'transitions' does not say whether its samples are in equilibrium")
    fine = data.samples_equilibrated.transpose("replica", "update").values
    updates = data["update"].values
    doubtful = sum(
        bool((row[updates <= updates[updates >= at].min(initial=updates[-1])] == 0).any())
        for row, at in zip(fine, np.where(np.isfinite(measured), measured, updates[-1]), strict=True)
    )
    if doubtful:
        raise MissingEvidenceError(
            f"in {doubtful} of {len(fine)} replicas the samples up to the transition are not shown to be in equilibrium"
        )


def _asymmetric(evidence: Evidence) -> Finding:
    wells = evidence.data("landau_wells", "minimum", "wells")
    last = wells.isel(update=-1)
    variance = next((s2 for s2 in NAMES if float(last.wells.sel(fluctuation=s2).isel(mode=0)) == 2.0), None)
    if variance is None:
        raise MissingEvidenceError(
            "at the last checkpoint no free energy of the first mode has two wells where states are"
        )
    left, right = (float(value) for value in last.minimum.sel(fluctuation=variance).values[:2])
    offset = abs(left + right) / (right - left)
    verdict = Verdict.HOLDS if offset > _ASYMMETRY else Verdict.FAILS
    words = (
        f"Minima at u = {left:.2f} and {right:.2f} ({NAMES[variance]}): their middle is off by {offset:.2f} of their "
        "distance."
    )
    return Finding(verdict, words, (Number("offset of the middle over the distance of the minima", offset),),
                   evidence.describe(evidence.main))  # fmt: skip


def _minimum_at_data(evidence: Evidence) -> Finding:
    names = ("data_mean", "data_sd", "samples_mean", "samples_sd")
    wells = evidence.data("landau_wells", "minimum", "reach", *names)
    evidence.equilibrium("landau_wells")
    last = wells.isel(update=-1, shown=-1)
    low, high = last.reach.isel(mode=0).values
    data, samples = ((float(last[f"{kind}_mean"]), float(last[f"{kind}_sd"])) for kind in ("data", "samples"))
    near: dict[float, list[bool]] = {}
    parts, numbers = [], []
    for variance, name in NAMES.items():
        minima = last.minimum.sel(fluctuation=variance).values
        minima = minima[np.isfinite(minima) & (minima > low) & (minima < high)]
        if not minima.size:
            near[variance] = [False, False]
            parts.append(f"{name}: no minimum where states are")
            continue
        found = float(minima[np.abs(minima - data[0]).argmin()])
        near[variance] = [abs(found - mean) <= sd for mean, sd in (data, samples)]
        parts.append(f"{name}: {found:.2f}")
        numbers.append(Number(f"nearest minimum, {name}", found))
    both = all(all(near[variance]) for variance in AVERAGED)
    verdict = Verdict.HOLDS if both else Verdict.PART if any(map(any, near.values())) else Verdict.FAILS
    words = (
        f"u of mode 1 at the end: data {data[0]:.2f}, samples {samples[0]:.2f} (standard deviations {data[1]:.2f} and "
        f"{samples[1]:.2f}); nearest minimum of the free energy (55); {'; '.join(parts)}."
    )
    numbers += [Number("mean of the data", data[0]), Number("mean of the samples", samples[0])]
    return Finding(verdict, words, tuple(numbers), evidence.describe(evidence.main))


def _cause(evidence: Evidence) -> Finding:
    wells = evidence.data("landau_wells", "cause_wells", "mu", "singular_value")
    both = wells.cause_wells.sel(cause="both")
    variance = next((s2 for s2 in NAMES if float(both.sel(fluctuation=s2)) == 2.0), None)
    if variance is None:
        raise MissingEvidenceError(
            "at the last checkpoint no free energy of the first mode has two wells where states are, so that there is "
            "no double well to explain"
        )
    found = wells.cause_wells.sel(fluctuation=variance)
    growth, shift = (float(found.sel(cause=f"{cause} alone")) == 2.0 for cause in ("growth", "shift"))
    verdict = Verdict.FAILS if shift else Verdict.PART if growth else Verdict.HOLDS
    ends = wells.isel(mode=0, update=[0, -1])
    (first, last), (mu_first, mu_last) = ends.singular_value.values, ends.mu.values
    words = (
        f"From the first to the last checkpoint λ goes from {first:.2f} to {last:.2f} and μ from {mu_first:.2f} to "
        f"{mu_last:.2f}. With both the free energy ({NAMES[variance]}) has two wells; with the growth of λ and μ on "
        f"the saddle it has {'two' if growth else 'one'}, with the shift of μ and the first λ "
        f"{'two' if shift else 'one'}."
    )
    numbers = (
        Number("λ of mode 1 at the end", float(last), unit="k_B T"),
        Number("μ along u of mode 1 at the beginning", float(mu_first)),
        Number("μ along u of mode 1 at the end", float(mu_last)),
    )
    return Finding(verdict, words, numbers, evidence.describe(evidence.main))


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


CLAIMS = (
    Claim(
        "double-well-early", "5.3, figure 7",
        "Early in training the first mode's free energy turns from a single into a double well.",
        "Wells count where bit states can be, within the sums of the mode's entries. Holds if the free energy averaged "
        "over the other modes has one at the first checkpoint, two at the last, and turns within the first epoch, both "
        "with the variance that equation 46 gives (s² = ¼) and with the one that the paper writes (s² = 1); in part if "
        "with one of them, with the others held (s² = 0), or later. Exact numbers.",
        _double_well_early, "landau_wells",
    ),
    Claim(
        "double-well-measured", "5.3, figure 7",
        "The first mode's effective potential in the trained model is a double well.",
        "Holds if the potential of mean force of Gibbs samples has a barrier between two minima; fails if one "
        "of ½ k_B T "
        "is excluded; otherwise undecided, and without equilibrium. Normal test, 0.1 % false alarms over all pairs of "
        "bins.",
        _measured_wells, "landau_wells", samples=True,
    ),
    Claim(
        "ferromagnetic-transition", "5.2 and 5.3",
        "The first mode goes through a transition like that from paramagnet to ferromagnet early in training.",
        "Holds if in every replica the fluctuations along the first dressed mode reach the critical size of their "
        "Gaussian theory within the first epoch, in part if in some or later; undecided where the samples up to the "
        "transition are not in equilibrium.",
        _transition, "transitions", samples=True,
    ),
    Claim(
        "double-well-asymmetric", "5.3",
        "The double well is not symmetric: the symmetry is broken explicitly.",
        "Holds if the middle of two minima that states can reach is off the saddle by more than 1 % of their distance; "
        "undecided without two such minima. Exact numbers.",
        _asymmetric, "landau_wells",
    ),
    Claim(
        "landau-minimum-at-data", "5.3, figure 7",
        "The free energy of Landau's form has its minimum where data and samples lie, which validates the mean field.",
        "At the last checkpoint the nearest minimum that states can reach against the means of the test data and of "
        "samples along u of mode 1. Holds if it lies within one standard deviation of both, for s² = ¼ and for 1; in "
        "part if for one of these, or of one of the two; undecided without equilibrium.",
        _minimum_at_data, "landau_wells", samples=True,
    ),
    Claim(
        "symmetry-breaking-cause", "5.3",
        "The growth of -λ/2 together with the shift of μ from zero breaks the symmetry of the first mode.",
        "The free energy of the last checkpoint with one of the two taken away: μ put on the saddle, or λ as at the "
        "first checkpoint. Holds if two wells where states are become one in both cases, in part if μ on the saddle "
        "leaves two, fails if the first λ does; undecided where there are no two wells. Exact numbers.",
        _cause, "landau_wells",
    ),
    Claim(
        "w-flattens", "5.3, figure 7",
        "The mode i = M + 1 (w of the first pair) becomes flat.",
        "Two readings. Course: in the second half of training the data's mean w moves by no more than its standard "
        "deviation. Potential: its curvature 4/β + λ falls. Holds if both, in part if one.",
        _flattens, "symmetry_breaking",
    ),
)  # fmt: skip
"""In the paper's order."""
