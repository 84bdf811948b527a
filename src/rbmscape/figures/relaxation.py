r"""Do the modes relax as bosons?  Measured rates against Γ = 2D𝓔 along training (arXiv:2503.21536, section 4.1).

The paper predicts that modes with λ > 4/β do not relax and leaves the test for future work.  Here, at several
checkpoints: rates of simulated Gaussian diffusion against theory, growth included; the same modes in the confined
diffusion; and the autocorrelation of Gibbs sampling, which the mean field predicts to decay by (βd)² a sweep, d the
dressed singular value.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from rbmscape.diffusion.bosons import dressed_singular_values
from rbmscape.diffusion.fokker_planck import FokkerPlanck1D
from rbmscape.diffusion.langevin import langevin, largest_stable_step
from rbmscape.diffusion.reference import reference_point
from rbmscape.diffusion.relaxation import autocorrelation, displacement_rate, gibbs_rates
from rbmscape.errors import MissingInputError, NotConvergedError, UnresolvedError
from rbmscape.figures.checkpoints import check_checkpoints
from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.spec import Count, FigureOptions, FigureSpec
from rbmscape.figures.style import PAGE_WIDTH, colour, new_figure, panel_letters, print_style
from rbmscape.reciprocal.modes import Modes

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from rbmscape.data.dataset import Dataset
    from rbmscape.figures.analysis import Subject
    from rbmscape.figures.material import Material
    from rbmscape.model.rbm import RBM
    from rbmscape.runs.run import Run
    from rbmscape.stats import Estimate

__all__ = ["SPEC", "Options", "alt_text", "compute", "draw", "for_model", "for_study"]

PRINTED_FACTOR = 0.25
"""The paper's Γ = 𝓔/2D over the true Γ = 2D𝓔, at β = 1."""


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    n_checkpoints : checkpoints, evenly spaced in ln λ_1
    mode_indices : from 0; those that do not exist are left out
    n_gaussian : chains of the Gaussian diffusion
    n_chains : chains of the confined diffusion and of Gibbs sampling
    n_steps : their records (one every tenth of a unit of time, or every step where that is longer; one a sweep), after
        a quarter as many more
    """

    n_checkpoints: Count = 6
    mode_indices: tuple[Annotated[int, Field(ge=0)], ...] = (0, 1, 2, 5, 20, 50)
    n_gaussian: Count = 1000
    n_chains: Count = 64
    n_steps: Count = 400


SPEC = FigureSpec(
    title="Do unstable modes relax?",
    caption=(
        "Test of the prediction of section 4.1 at several checkpoints: rates of the simulated Gaussian diffusion "
        "against theory, the same modes in the confined diffusion, and autocorrelation rates of Gibbs sampling "
        "against the mean field's. Bars are standard errors over chains."
    ),
    reading=(
        "Points on the diagonal relax as predicted. A negative rate is a mode that runs away; in the confined "
        "diffusion the same mode has to relax. Gibbs rates below the diagonal are chains that are slower than the "
        "mean field says."
    ),
    order=300,
    analysis=("run", "data"),
    cost=lambda scene, options: (
        scene.base(5.0)
        + options.n_checkpoints * (scene.factors(4) + scene.chains(options.n_chains, 2 * options.n_steps))
    ),
    options=Options,
)


def for_study(material: Material) -> xr.Dataset:
    """Data of the figure for the first replica of the size nearest to the paper's 500."""
    return compute(material.run(), material.dataset, seed=material.seed, **material.settings)


def for_model(subject: Subject) -> xr.Dataset:
    """Data of the figure for the run that is analysed.

    Raises
    ------
    MissingInputError : there is no run with checkpoints, or no data
    """
    if subject.run is None or subject.dataset is None:
        raise MissingInputError(
            "relaxation along training needs a run with checkpoints and its data; analyse a run's directory"
        )
    return compute(subject.run, subject.dataset, seed=subject.seed)


def compute(run: Run, dataset: Dataset, seed: int = 0, **options: Any) -> xr.Dataset:
    """Measured and predicted rates of some modes at checkpoints evenly spaced in ln λ_1.

    Parameters
    ----------
    run, dataset : trained run and its data
    seed : of everything random
    **options : of `Options`

    Returns
    -------
    Dataset over (checkpoint, mode): ``predicted_u`` = 4 - λ, ``predicted_w`` = 4 + λ, ``gaussian_u``, ``gaussian_w``,
    ``confined_u``, ``gibbs`` (a sweep) each with ``_stderr``, NaN where the samples do not support a value;
    ``predicted_gibbs`` = -2 ln d, NaN for unstable modes; ``singular_value``, ``update``; attributes ``worst_z``, the
    largest deviation of a Gaussian rate in standard errors, ``worst_z_printed``, the same for 𝓔/2D, and ``bit_rate``,
    ``bit_variance`` of one free bit confined to the cube, Γ_1 and ⟨(m - ½)²⟩, so that linear response gives
    Γ_1 (1 - λ⟨(m - ½)²⟩) for a confined mode

    Raises
    ------
    MissingInputError : the run has fewer than two checkpoints
    """
    import xarray as xr

    asked = Options(**options)
    picks = _checkpoints(run, asked.n_checkpoints)
    kept = [i for i in asked.mode_indices if i < min(run.config.n_hidden, dataset.n_visible)]
    parts = [
        _one_checkpoint(
            run.load(update, averaged=False), dataset, kept, asked.n_gaussian, asked.n_chains, asked.n_steps, seed
        )
        for update in picks
    ]
    result = xr.concat(parts, "checkpoint").assign_coords(checkpoint=np.arange(len(picks)), mode=kept)
    result["update"] = ("checkpoint", list(picks), {"units": "updates"})
    bit = FokkerPlanck1D(_bit_potential, np.linspace(1e-6, 1 - 1e-6, 41))
    scores, wrong = [], []
    for branch in ("u", "w"):
        value, error = result[f"gaussian_{branch}"].values, result[f"gaussian_{branch}_stderr"].values
        expected = result[f"predicted_{branch}"].values
        scores.append(np.abs((value - expected) / error))
        wrong.append(np.abs((value - PRINTED_FACTOR * expected) / error))
    result.attrs = provenance_attrs(
        seed=seed,
        beta=1.0,
        n_hidden=run.config.n_hidden,
        bit_rate=float(bit.relaxation_rates[1]),
        bit_variance=bit.moment(2, 0.5),
        n_rates=int(np.isfinite(scores).sum()),
        worst_z=float(np.nanmax(scores)),
        worst_z_printed=float(np.nanmax(wrong)),
    )
    return result


def _bit_potential(m: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(m * np.log(m) + (1 - m) * np.log1p(-m))


def _checkpoints(run: Run, n_checkpoints: int) -> list[int]:
    import torch

    check_checkpoints(run, "relaxation", 2)
    top = [math.log(float(torch.linalg.matrix_norm(run.load(u, averaged=False).weights, ord=2))) for u in run.updates]
    wanted = np.linspace(min(top), max(top), n_checkpoints)
    nearest = {int(np.argmin(np.abs(np.array(top) - level))) for level in wanted}
    return [run.updates[position] for position in sorted(nearest)]


def _one_checkpoint(
    rbm: RBM, dataset: Dataset, kept: list[int], n_gaussian: int, n_chains: int, n_steps: int, seed: int
) -> xr.Dataset:
    import xarray as xr

    modes = Modes.of(rbm)
    singular_values = modes.singular_values.cpu().numpy()[kept]
    dressed = dressed_singular_values(rbm, reference_point(rbm, "data", dataset.train[:2000]))[kept]
    columns: dict[str, Any] = {
        "singular_value": singular_values,
        "predicted_u": 4 - singular_values,
        "predicted_w": 4 + singular_values,
        "predicted_gibbs": np.where(dressed < 1, -2 * np.log(np.minimum(dressed, 1)), np.nan),
    }
    found: dict[str, list[Estimate | None]] = {
        **_gaussian(rbm, modes, kept, n_gaussian, seed),
        "confined_u": _confined(rbm, modes, kept, n_chains, n_steps, seed),
    }
    start = np.resize(dataset.train, (n_chains, dataset.n_visible))
    gibbs = gibbs_rates(rbm, modes, kept, start, n_steps, n_steps // 4, seed=seed)
    found["gibbs"] = [None if one is None or math.isnan(one.rate.stderr) else one.rate for one in gibbs]
    for name, estimates in found.items():
        columns[name] = [math.nan if one is None else one.value for one in estimates]
        columns[f"{name}_stderr"] = [math.nan if one is None else one.stderr for one in estimates]
    units = {"singular_value": "k_B T", "gibbs": "1/sweep", "gibbs_stderr": "1/sweep", "predicted_gibbs": "1/sweep"}
    return xr.Dataset(
        {
            name: ("mode", np.asarray(v, dtype=float), {"units": units.get(name, "1/time")})
            for name, v in columns.items()
        }
    )


def _gaussian(rbm: RBM, modes: Modes, kept: list[int], n_chains: int, seed: int) -> dict[str, list[Estimate | None]]:
    """Rates of u and w from ensembles that start far off the fixed point along all of these modes."""
    import torch

    half = torch.full((rbm.n_visible,), 0.5).double(), torch.full((rbm.n_hidden,), 0.5).double()
    left, right = modes.left[:, kept].sum(1), modes.right[:, kept].sum(1)
    found: dict[str, list[Estimate | None]] = {}
    options: dict[str, Any] = {"n_chains": n_chains, "n_steps": 8, "dt": 0.02, "seed": seed}
    for branch, sign in (("u", 1.0), ("w", -1.0)):
        centre = _fixed_points(modes, kept, branch)
        start = (half[0] + sign * 6.0 * left, half[1] + 6.0 * right)
        run = langevin(rbm, "gaussian", start=start, mode_indices=kept, modes=modes, **options)
        series = (run.u if branch == "u" else run.w).cpu().numpy() - centre
        found[f"gaussian_{branch}"] = [
            _tried(lambda k=k, series=series, run=run: displacement_rate(run.times, series[:, :, k], seed))
            for k in range(len(kept))
        ]
    return found


def _fixed_points(modes: Modes, kept: list[int], branch: str) -> np.ndarray:
    """z* of the harmonic force 4 (z - μ) ∓ λ z = 0 (41)."""
    mean = modes.random_state_mean()
    mu = (mean.u if branch == "u" else mean.w).cpu().numpy()[kept]
    singular_values = modes.singular_values.cpu().numpy()[kept]
    return np.asarray(4 * mu / (4 - singular_values if branch == "u" else 4 + singular_values))


def _confined(rbm: RBM, modes: Modes, kept: list[int], n_chains: int, n_steps: int, seed: int) -> list[Estimate | None]:
    """Rates of u from the autocorrelation of the stationary confined diffusion."""
    dt = 0.2 * largest_stable_step(rbm)
    every = max(1, round(0.1 / dt))
    run = langevin(
        rbm,
        "entropic",
        start="random",
        n_chains=n_chains,
        n_steps=every * (n_steps + n_steps // 4),
        dt=dt,
        mode_indices=kept,
        modes=modes,
        record_every=every,
        seed=seed,
    )
    series = run.u[n_steps // 4 :].cpu().numpy()
    return [_tried(lambda k=k: autocorrelation(series[:, :, k], every * dt, seed).rate) for k in range(len(kept))]


def _tried(measure: Any) -> Estimate | None:
    try:
        result: Estimate = measure()
    except (NotConvergedError, UnresolvedError):
        return None
    return result


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """Gaussian rates against theory, both diffusions against λ, Gibbs rates against the mean field's."""
    figure, axes = new_figure(1, 3, size=(PAGE_WIDTH, 3.3))
    _draw_gaussian(axes[0, 0], dataset)
    _draw_confined(axes[0, 1], dataset)
    _draw_gibbs(axes[0, 2], dataset)
    for panel in axes[0]:
        if panel.get_legend_handles_labels()[0]:
            panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), labelspacing=0.3)
    panel_letters(axes)
    return figure


def _draw_gaussian(panel: Axes, dataset: xr.Dataset) -> None:
    ends = np.array([min(0.0, float(dataset["predicted_u"].min())), float(dataset["predicted_w"].max())])
    panel.plot(ends, ends, color="black", linewidth=0.8, label=r"$\Gamma = 2D\mathcal{E}$")
    panel.plot(ends, PRINTED_FACTOR * ends, color="grey", linestyle=":", label=r"$\Gamma = \mathcal{E}/2D$ (printed)")
    for index, branch in enumerate(("u", "w")):
        panel.errorbar(
            dataset[f"predicted_{branch}"].values.ravel(),
            dataset[f"gaussian_{branch}"].values.ravel(),
            dataset[f"gaussian_{branch}_stderr"].values.ravel(),
            color=colour(index),
            marker="os"[index],
            linestyle="none",
            label=f"{branch} modes",
        )
    panel.axhline(0, color="black", linewidth=0.4)
    panel.set_xlabel("predicted rate (1/time)")
    panel.set_ylabel("Gaussian diffusion (1/time)")


def _draw_confined(panel: Axes, dataset: xr.Dataset) -> None:
    singular_values = dataset["singular_value"].values.ravel()
    line = np.linspace(0, singular_values.max() * 1.02, 50)
    panel.plot(line, 4 - line, color="black", linewidth=0.8, label="4 - λ")
    rate, variance = dataset.attrs["bit_rate"], dataset.attrs["bit_variance"]
    panel.plot(line, rate * (1 - variance * line), color="grey", linestyle=":", label="one confined bit")
    for index, (name, label) in enumerate((("gaussian_u", "Gaussian"), ("confined_u", "confined"))):
        panel.errorbar(
            singular_values,
            dataset[name].values.ravel(),
            dataset[f"{name}_stderr"].values.ravel(),
            color=colour(index),
            marker="os"[index],
            linestyle="none",
            label=label,
        )
    panel.axhline(0, color="black", linewidth=0.4)
    panel.axvline(4, color="black", linestyle="--", linewidth=0.8)
    panel.set_xlabel("singular value λ ($k_BT$)")
    panel.set_ylabel("relaxation rate of u (1/time)")


def _draw_gibbs(panel: Axes, dataset: xr.Dataset) -> None:
    for index, checkpoint in enumerate(dataset["checkpoint"].values):
        one = dataset.sel(checkpoint=checkpoint)
        if not bool(np.isfinite(one["predicted_gibbs"] + one["gibbs"]).any()):
            continue
        panel.errorbar(
            one["predicted_gibbs"],
            one["gibbs"],
            one["gibbs_stderr"],
            color=colour(index),
            marker="os^Dv*"[index % 6],
            linestyle="none",
            label=f"update {int(one['update'])}",
        )
    both = np.isfinite(dataset["predicted_gibbs"].values) & np.isfinite(dataset["gibbs"].values)
    if both.any():
        ends = np.array([0.0, max(dataset["predicted_gibbs"].values[both].max(), dataset["gibbs"].values[both].max())])
        panel.plot(ends, ends, color="black", linewidth=0.8, label="equal")
    else:
        panel.annotate("no rate could be measured", (0.5, 0.5), xycoords="axes fraction", ha="center")
        panel.set_xticks([])
        panel.set_yticks([])
    panel.set_xlabel("predicted -2 ln d (1/sweep)")
    panel.set_ylabel("Gibbs sampling (1/sweep)")


def alt_text(dataset: xr.Dataset) -> str:
    """The verdict on the prediction, in numbers."""
    unstable = dataset["predicted_u"].values < 0
    grows = dataset["gaussian_u"].values[unstable]
    confined = dataset["confined_u"].values[unstable]
    measured = confined[np.isfinite(confined)]
    return (
        f"Of {int(unstable.sum())} modes with λ > 4 at {dataset.sizes['checkpoint']} checkpoints, "
        f"{int((grows < 0).sum())} run away in the Gaussian diffusion and {int((measured > 0).sum())} relax in the "
        f"confined one (the other {int(unstable.sum() - measured.size)} too slowly to be timed); Gaussian rates "
        f"deviate from 2D𝓔 by at most {float(dataset.attrs['worst_z']):.1f} standard errors in "
        f"{int(dataset.attrs['n_rates'])} rates, from 𝓔/2D by up to {float(dataset.attrs['worst_z_printed']):.0f}."
    )
