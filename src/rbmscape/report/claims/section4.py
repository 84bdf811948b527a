"""Claims of section 4: diffusion and bosons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from rbmscape.report.evidence import Evidence
from rbmscape.report.findings import Finding, MissingEvidenceError, Number, Verdict
from rbmscape.report.rules import in_words, normal_threshold, rank_correlation
from rbmscape.report.verdicts import Claim
from rbmscape.stats import Estimate

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CLAIMS"]

_ROUGH = 0.3
_SEVERAL = 3
_FAR_FROM_CRITICAL = 0.8
"""Dressed value up to which the mean field's rates are asked for: nearer to 1 finite layers round the transition."""
_NEARLY_ALL = 0.9
_NOT_CLOSE = 0.1
"""Exact excess kurtosis from which on a mode is not close to Gaussian; a uniform distribution has 1.2."""


def _beyond_threshold(evidence: Evidence) -> Finding:
    bosons = evidence.data("bosons", "n_unstable_uniform", "n_unstable_data", "bare")
    first, last = (int(bosons.n_unstable_uniform.values[k]) for k in (0, -1))
    dressed = int(bosons.n_unstable_data.values[-1])
    verdict = Verdict.HOLDS if last > first == 0 else Verdict.PART if last > 0 else Verdict.FAILS
    words = (
        f"Modes with λ beyond 4: {first} before and {last} after training; beyond the threshold dressed by the data's "
        f"activities: {dressed}. Largest βλ/4: {float(bosons.bare.isel(update=-1).max()):.2f}."
    )
    numbers = (
        Number("modes beyond 4/β at the end", last, unit="modes"),
        Number("modes beyond the dressed threshold at the end", dressed, unit="modes"),
    )
    return Finding(verdict, words, numbers, evidence.describe(evidence.main))


def _unstable(evidence: Evidence) -> tuple[xr.Dataset, NDArray[np.bool_]]:
    rates = evidence.data("relaxation", "predicted_u", "gaussian_u", "gaussian_u_stderr", "confined_u")
    unstable = rates.predicted_u.values < 0
    if not unstable.any():
        raise MissingEvidenceError("at no checkpoint that was looked at a mode is beyond λ = 4")
    return rates, unstable


def _diverges(evidence: Evidence) -> Finding:
    rates, unstable = _unstable(evidence)
    value, error = rates.gaussian_u.values[unstable], rates.gaussian_u_stderr.values[unstable]
    expected = rates.predicted_u.values[unstable]
    known = np.isfinite(value) & np.isfinite(error)
    if not known.any():
        raise MissingEvidenceError("no rate of an unstable mode could be measured")
    value, error, expected = value[known], error[known], expected[known]
    limit = normal_threshold(2 * value.size)
    growing = int((value < -limit * error).sum())
    worst = float(np.abs((value - expected) / error).max())
    as_predicted = growing == value.size and worst <= limit
    verdict = Verdict.HOLDS if as_predicted else Verdict.PART if growing else Verdict.FAILS
    words = (
        f"{growing} of {value.size} rates of modes beyond 4/β are negative: these modes run away. The rates agree with "
        f"4/β - λ within {worst:.1f} standard errors; the fastest is {Estimate(value.min(), error[value.argmin()])}."
    )
    numbers = (
        Number("modes that run away", growing, unit="modes"),
        Number("largest deviation from 4/β - λ", worst, unit="standard errors"),
    )
    return Finding(verdict, words, numbers, evidence.describe(evidence.main))


def _confined(evidence: Evidence) -> Finding:
    rates, unstable = _unstable(evidence)
    if "confined_u_stderr" not in rates:
        raise MissingEvidenceError("the confined rates have no errors")
    value, error = rates.confined_u.values[unstable], rates.confined_u_stderr.values[unstable]
    known = np.isfinite(value) & np.isfinite(error)
    if not known.any():
        raise MissingEvidenceError("no confined rate could be measured; the chains are too short")
    limit = normal_threshold(int(known.sum()), sides=1)
    relaxing = int((value[known] > limit * error[known]).sum())
    verdict = Verdict.HOLDS if relaxing == known.sum() else Verdict.PART if relaxing else Verdict.FAILS
    slowest = int(np.argmin(value[known]))
    words = (
        f"{relaxing} of {int(known.sum())} modes beyond 4/β relax under the full constraint potential, the slowest at "
        f"{Estimate(value[known][slowest], error[known][slowest])}; {int((~known).sum())} rates could not be measured."
    )
    numbers = (
        Number("confined modes that relax", relaxing, unit="modes"),
        Number("confined modes measured", int(known.sum()), unit="modes"),
    )
    return Finding(verdict, words, numbers, evidence.describe(evidence.main))


def _levels(evidence: Evidence) -> Finding:
    rates = evidence.data("relaxation", "predicted_u", "gaussian_u", "gaussian_w", "predicted_w")
    count = int(rates.attrs["n_rates"])
    right, printed = float(rates.attrs["worst_z"]), float(rates.attrs["worst_z_printed"])
    limit = normal_threshold(count)
    verdict = Verdict.HOLDS if printed <= limit else Verdict.PART if right <= limit else Verdict.FAILS
    words = (
        f"Of {count} measured rates of the Gaussian diffusion the worst is {right:.1f} standard errors from 2D𝓔 and "
        f"{printed:.0f} from the printed 𝓔/2D: rates follow the levels, with another factor."
    )
    numbers = (
        Number("largest deviation from 2D𝓔", right, unit="standard errors"),
        Number("largest deviation from 𝓔/2D", printed, unit="standard errors"),
    )
    return Finding(verdict, words, numbers, evidence.describe(evidence.main))


def _gibbs(evidence: Evidence) -> Finding:
    rates = evidence.data("relaxation", "gibbs", "gibbs_stderr", "predicted_gibbs")
    value, error, expected = (rates[name].values.ravel() for name in ("gibbs", "gibbs_stderr", "predicted_gibbs"))
    known = np.isfinite(value) & np.isfinite(error) & np.isfinite(expected) & (error > 0)
    near = known & (expected < -2.0 * np.log(_FAR_FROM_CRITICAL))
    known &= ~near
    if known.sum() < _SEVERAL:
        raise MissingEvidenceError(
            f"the rates of {int(known.sum())} modes with a dressed value up to {_FAR_FROM_CRITICAL:g} could be "
            f"measured, {_SEVERAL} are needed"
        )
    value, error, expected = value[known], error[known], expected[known]
    score = np.abs((value - expected) / error)
    relative = float(np.median(np.abs(value / expected - 1.0)))
    rho, _ = rank_correlation(value, expected)
    if (score <= normal_threshold(score.size)).all():
        verdict = Verdict.HOLDS
    else:
        verdict = Verdict.PART if relative <= _ROUGH or rho > 0.5 else Verdict.FAILS
    words = (
        f"Rates a sweep of {value.size} modes with d up to {_FAR_FROM_CRITICAL:g} differ from the mean field's "
        f"-2 ln(βd) by {100 * relative:.0f} % "
        f"(median), at most {score.max():.1f} standard errors; rank correlation {rho:.2f}. {int(near.sum())} modes "
        f"nearer to the transition than d = {_FAR_FROM_CRITICAL:g} are left out."
    )
    numbers = (
        Number("median relative deviation", relative),
        Number("largest deviation", float(score.max()), unit="standard errors"),
        Number("rank correlation", rho),
    )
    return Finding(verdict, words, numbers, evidence.describe(evidence.main))


def _images(evidence: Evidence) -> Finding:
    images = evidence.data("diffused_images", "mean", "sd", "free_energy", "free_energy_sd", "n_states", "end")
    evidence.equilibrium("diffused_images")
    gibbs = images.sel(stage="Gibbs")
    ends = [str(name) for name in images.stage.values[images.end.values == 1.0]]
    found = {name: _distance(images.sel(stage=name), gibbs) for name in ends}
    equal = found[ends[0]]
    if equal["off"] == 0 and abs(equal["energy"].value) <= normal_threshold(2) * equal["energy"].stderr:
        verdict = Verdict.HOLDS
    else:
        near = [name for name, one in found.items() if _nearly(one)]
        verdict = Verdict.PART if near else Verdict.FAILS
    parts = [
        f"{name}: free energy {one['energy']} above that of equilibrium samples (whose standard deviation is "
        f"{one['spread']:.1f}), {one['off']} of {one['count']} means or widths of modes off"
        for name, one in found.items()
    ]
    numbers = tuple(
        Number.of(f"free energy above that of samples, {name}", one["energy"], "k_B T") for name, one in found.items()
    )
    return Finding(verdict, "; ".join(parts) + ".", numbers, evidence.describe(evidence.main))


def _nearly(one: dict[str, Any]) -> bool:
    """Free energy within the samples' own width, and nearly all means and widths of modes like theirs."""
    return bool(abs(one["energy"].value) <= one["spread"] and one["off"] <= (1.0 - _NEARLY_ALL) * one["count"])


def _distance(one: xr.Dataset, gibbs: xr.Dataset) -> dict[str, Any]:
    """How far one stage of the diffusion is from Gibbs samples: moments off, and the free energy's excess."""
    scores = [
        np.abs(one[name].values - gibbs[name].values)
        / np.maximum(np.hypot(one[f"{name}_stderr"].values, gibbs[f"{name}_stderr"].values), 1e-12)
        for name in ("mean", "sd")
    ]
    score = np.concatenate(scores)
    errors = [float(stage.free_energy_sd) / np.sqrt(float(stage.n_states)) for stage in (one, gibbs)]
    energy = Estimate(float(one.free_energy - gibbs.free_energy), float(np.hypot(*errors)))
    off = int((score > normal_threshold(score.size)).sum())
    return {"energy": energy, "spread": float(gibbs.free_energy_sd), "off": off, "count": score.size}


def _higher_orders(evidence: Evidence) -> Finding:
    names = ("curvature", "distance_harmonic", "distance_relaxed", "distance_gaussian", "distance_noise")
    potentials = evidence.data("mode_potentials", *names)
    evidence.equilibrium("mode_potentials")
    unstable = potentials.curvature.values < 0
    unstable[:-1] = False  # the verdict on samples is that of the last model
    if not unstable.any():
        raise MissingEvidenceError("none of the modes that were looked at is beyond λ = 4")
    harmonic, full, gaussian, noise = (potentials[name].values[unstable] for name in names[1:])
    needed = int(((gaussian > 2.0 * noise) & (full < gaussian)).sum())
    verdict = Verdict.HOLDS if needed == full.size else Verdict.PART if needed else Verdict.FAILS
    words = (
        f"Total variation from samples of the trained model along {full.size} unstable modes: {harmonic.mean():.2f} "
        f"with the printed second order, which has no minimum there, {gaussian.mean():.2f} with the best second order, "
        f"{full.mean():.2f} with the full constraint and the other modes relaxed, {noise.mean():.2f} by the samples' "
        f"noise; higher orders are needed in {needed}."
    )
    numbers = (
        Number("mean distance, printed second order", float(harmonic.mean())),
        Number("mean distance, best second order", float(gaussian.mean())),
        Number("mean distance, full constraint", float(full.mean())),
        Number("mean noise", float(noise.mean())),
        Number("unstable modes that need higher orders", needed, unit="modes"),
    )
    return Finding(verdict, words, numbers, evidence.describe(evidence.main))


def _gaussian_projections(evidence: Evidence) -> Finding:
    data = evidence.data("gaussianity", "pvalue", "exact_kurtosis", "distance").sel(model="untrained")
    pvalues = data.pvalue.values.ravel()
    count = int((pvalues < 0.01).sum())
    excess = float(stats.binomtest(count, pvalues.size, 0.01, alternative="greater").pvalue)
    share = count / pvalues.size
    verdict = Verdict.HOLDS if excess >= 0.001 else Verdict.PART if share < 0.5 else Verdict.FAILS
    parts = []
    for layer in data.layer.values:
        of_layer = data.sel(layer=layer)
        parts.append(f"{100 * float((of_layer.pvalue < 0.01).mean()):.1f} % of the {layer}")
    words = (
        f"Untrained model: {in_words(parts)} are told from a Gaussian at the 1 % level (excess over 1 %: p = "
        f"{excess:.2g}); largest distance {float(data.distance.max()):.3f}, mean exact kurtosis "
        f"{float(data.exact_kurtosis.mean()):.4f}."
    )
    return Finding(verdict, words, (Number("share of modes told from a Gaussian, untrained", share),))


def _trained_projections(evidence: Evidence) -> Finding:
    data = evidence.data("gaussianity", "exact_kurtosis", "state_distance")
    evidence.equilibrium("gaussianity")
    excess = np.abs(data.exact_kurtosis.sel(model="trained").values - 3.0)
    distance, level = data.state_distance.values, float(data.attrs["state_level"])
    random, own = float((excess > _NOT_CLOSE).mean()), float((distance[np.isfinite(distance)] > level).mean())
    readings = (random >= 0.5, own >= 0.5)
    verdict = Verdict.HOLDS if all(readings) else Verdict.PART if max(random, own) >= 0.1 else Verdict.FAILS
    if not any(readings) and level > 2.0 * _NOT_CLOSE:
        raise MissingEvidenceError(
            f"{100 * own:.0f} % of the modes are told from a Gaussian in the model's own states, but its chains see "
            f"distances beyond {level:.2f} only; more of them are needed"
        )
    words = (
        f"Random states: the exact kurtosis of {100 * random:.1f} % of the modes differs from 3 by more than "
        f"{_NOT_CLOSE:g} (largest {excess.max():.3f}). The trained model's own states: {100 * own:.0f} % of the modes "
        f"are farther from the Gaussian of their mean and width than {level:.3f}, which chance exceeds in 1 %."
    )
    numbers = (
        Number(f"share of modes with an excess kurtosis beyond {_NOT_CLOSE:g}, random states", random),
        Number("share of modes told from a Gaussian, own states", own),
    )
    return Finding(verdict, words, numbers, evidence.describe(evidence.main))


CLAIMS = (
    Claim(
        "random-projections-gaussian", "4",
        "For random weights, uniformly random states have nearly Gaussian reciprocal variables.",
        "Kolmogorov-Smirnov test of every mode at 1 %. Holds unless more modes are rejected than chance allows "
        "(binomial test, 0.1 % false alarms); then in part while fewer than half are.",
        _gaussian_projections, "gaussianity",
    ),
    Claim(
        "trained-projections-not-gaussian", "4",
        "For trained models they are in general not close to Gaussian.",
        "Two readings. Random states: exact kurtosis off 3 by more than 0.1. The trained model's own states: "
        "Kolmogorov-Smirnov distance from the Gaussian of the same mean and width beyond Lilliefors' 1 % level for as "
        "many values as there are independent chains. Holds if at least half of the modes differ in both, in part if "
        "in one, or a tenth; fails if fewer do; undecided without equilibrium, or where chains are too few to see it.",
        _trained_projections, "gaussianity", samples=True,
    ),
    Claim(
        "modes-beyond-threshold", "4.1",
        "Training makes modes whose singular value exceeds k/β, 4/β for random states.",
        "Holds if no mode does before training and at least one does after it; in part if some do before. Exact "
        "numbers.",
        _beyond_threshold, "bosons",
    ),
    Claim(
        "rates-are-levels", "4.1, equations 37 and 48",
        "Modes relax at rates 𝓔/2D, given by the levels of the harmonic oscillators.",
        "Worst deviation of all measured rates of the Gaussian diffusion. Holds if the printed factor fits, in part if "
        "only 2D𝓔 does. Normal test, 0.1 % false alarms over all rates.",
        _levels, "relaxation", identity=True,
    ),
    Claim(
        "gaussian-diffusion-diverges", "4.1 and 6",
        "With the constraint to second order, modes beyond 4/β run away and the diffusion does not reach the Boltzmann "
        "distribution.",
        "Holds if every measured rate of such a mode is negative and agrees with 4/β - λ; in part if only some are "
        "negative. Normal tests, 0.1 % false alarms for all.",
        _diverges, "relaxation", identity=True,
    ),
    Claim(
        "constraint-confines", "4.1",
        "With the full constraint such modes do not diverge.",
        "Holds if every rate that could be measured is positive, in part if some are. Normal test, 0.1 % false alarms "
        "for all.",
        _confined, "relaxation", identity=True,
    ),
    Claim(
        "higher-orders-needed", "4.1",
        "Terms of the constraint beyond the second order are needed for such modes.",
        "Total variation from equilibrium samples along the unstable modes. The competitor is the best potential of "
        "second order, the Gaussian with the samples' own mean and width. Holds if in every mode it is off by more "
        "than twice the samples' noise and the full potential is nearer; in part if in some; undecided without "
        "equilibrium.",
        _higher_orders, "mode_potentials", samples=True,
    ),
    Claim(
        "levels-are-gibbs-rates", "4.1 and 6",
        "The bosons' levels give the relaxation times of the RBM.",
        "Autocorrelation rates of Gibbs sampling against -2 ln(βd), for modes whose dressed singular value d is 0.8 or "
        "less; nearer to 1 corrections of order 1/N are seen. Holds if all agree (normal test, 0.1 % false alarms), in "
        "part if half of them are within 30 % or the order is right; undecided with fewer than three such modes.",
        _gibbs, "relaxation",
    ),
    Claim(
        "diffusion-generates", "4.1 and 6",
        "An RBM maps to a diffusion in its effective potential, whose stationary states are the RBM's.",
        "Confined diffusion against equilibrium samples, at the end of each quench. Holds if at D = 1/β means and "
        "widths of all modes and the free energy agree (normal tests, 0.1 % false alarms for each kind), in part if at "
        "some D the mean free energy lies within one standard deviation of the samples' and nine tenths of the means "
        "and widths agree: an energy that passes theirs on its way down is no agreement. Undecided without "
        "equilibrium.",
        _images, "diffused_images", samples=True,
    ),
)  # fmt: skip
"""In the paper's order."""
