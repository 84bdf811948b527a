r"""Diffusion that generates images: confined Langevin dynamics decoded to pixels (arXiv:2503.21536, section 4.1).

From bits uniform in the cube, U_eff is followed at D = 1/β, for which exp(-βU_eff) is stationary, and at smaller D, at
which the dynamics descends U_eff into its minima, the solutions of the mean-field equations (26); the quench of the
smallest D is shown along time.  States are decoded as σ(Wn + a).  Beside them Gibbs samples, and a comparison of mode
means and spreads and of free energies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from rbmscape.diffusion.langevin import langevin, largest_stable_step
from rbmscape.errors import InputError
from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.mosaic import is_image, mosaic, show_states
from rbmscape.figures.samples import sampled, verdict
from rbmscape.figures.spec import Count, FigureOptions, FigureSpec
from rbmscape.figures.style import PAGE_WIDTH, colour, legend_below, marker, new_figure, panel_letters, print_style
from rbmscape.reciprocal.modes import Modes
from rbmscape.rng import Stream
from rbmscape.sampling.samples import Samples

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

    from rbmscape.figures.analysis import Subject
    from rbmscape.figures.material import Material
    from rbmscape.model.rbm import RBM

__all__ = ["SPEC", "Options", "alt_text", "compute", "draw", "for_model", "for_study"]

N_PICTURES = 6
"""Moments of the last quench that are kept, the start and the end among them."""


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    diffusions : D of the quenches, all from the same activities, uniform in the cube; the last is shown along time
    n_chains : chains
    n_shown : how many of them are drawn
    time : diffusion time of each quench
    n_modes : modes compared
    """

    diffusions: tuple[Annotated[float, Field(gt=0)], ...] = (1.0, 0.1, 0.02)
    n_chains: Count = 100
    n_shown: Count = 10
    time: Annotated[float, Field(gt=0)] = 8.0
    n_modes: Count = 40


SPEC = FigureSpec(
    title="Diffusion that generates images",
    caption=(
        "Confined Langevin dynamics from activities that are uniform in the cube, decoded to pixels (white is 1), at "
        "D = 1/β and at smaller D, the smallest along time; equilibrium samples below. Means and standard deviations "
        "of u by mode, and free energies."
    ),
    reading=(
        "Rows that look like the samples below have the machine's states. Free energies far from those of the samples "
        "say that the stationary states of the diffusion are others."
    ),
    order=310,
    samples="main",
    analysis=(),
    cost=lambda scene, options: scene.base(1.0) + scene.chains(options.n_chains, 300 * options.time),
    options=Options,
)


def for_study(material: Material) -> xr.Dataset:
    """Data of the figure for the last checkpoint of the size nearest to the paper's 500."""
    samples = material.samples(material.run()).at()
    return compute(samples, material.dataset.image_shape, seed=material.seed, **material.settings)


def for_model(subject: Subject) -> xr.Dataset:
    """Data of the figure for one model."""
    return compute(subject.samples, subject.image_shape, seed=subject.seed)


def compute(samples: Samples, image_shape: tuple[int, int] | None = None, seed: int = 0, **options: Any) -> xr.Dataset:
    """Quench activities uniform in the cube by the confined diffusion at several D, and compare with samples.

    Parameters
    ----------
    samples : of the model, one a column
    image_shape : height and width of the images; None for data that are no images
    seed : of everything random
    **options : of `Options`

    Returns
    -------
    Dataset: ``picture`` over (stage, sample, unit), decoded; ``mean`` and ``sd`` of u over (stage, mode) with errors;
    ``free_energy`` and ``free_energy_sd`` over stage, of visible states drawn from the decoded probabilities.  Stages
    are "start", one for each D, and "Gibbs", the equilibrium samples; ``n_states`` over stage, ``end`` 1 for the end of
    a quench; attributes ``sd_ratio``, ``mean_distance``, ``free_energy_excess`` (k_B T) and
    ``free_energy_excess_stderr`` of the first D against the samples, medians over the modes

    Raises
    ------
    InputError : no D, or one that is not above 0
    """
    import xarray as xr

    asked = Options(**options)
    if not asked.diffusions:
        raise InputError("diffused images need at least one D, found none; pass diffusions=(1.0, 0.1)")
    rbm = samples.model
    modes = Modes.of(rbm)
    kept = list(range(min(asked.n_modes, modes.n_paired - int(modes.flat.sum()))))
    stages = _quenches(rbm, modes, asked.diffusions, asked.n_chains, asked.time, seed)
    stages.append(("Gibbs", samples.v, samples.h))
    parts = [_stage(rbm, modes, kept, name, m, n, asked.n_shown, seed) for name, m, n in stages]
    height, width = image_shape or (0, 0)
    names = [name for name, _, _ in stages]
    result = xr.concat(parts, "stage").assign_coords(stage=names, mode=kept)
    ends = [float(", t" not in name or number == len(names) - 2) for number, name in enumerate(names)]
    result["end"] = ("stage", [0.0, *ends[1:-1], 0.0], {"units": "1"})
    result.attrs = provenance_attrs(
        seed=seed,
        n_chains=asked.n_chains,
        time=asked.time,
        height=height,
        width=width,
        beta=1.0,
        diffusion=asked.diffusions[0],
    ) | _comparison(result, 1)
    return sampled(result, samples)


def _quenches(
    rbm: RBM, modes: Modes, diffusions: Sequence[float], n_chains: int, time: float, seed: int
) -> list[tuple[str, Tensor, Tensor]]:
    """Name and activities of the common start, of the end of each quench, and of the last one along time."""
    stages: list[tuple[str, Tensor, Tensor]] = []
    for number, spread in enumerate(diffusions):
        dt = 0.2 * largest_stable_step(rbm, 1.0, spread)
        n_steps = max(1, round(time / dt))
        run = langevin(
            rbm,
            start="random",
            n_chains=n_chains,
            n_steps=n_steps,
            dt=dt,
            diffusion=spread,
            record_every=n_steps,
            n_snapshots=N_PICTURES,
            n_kept=n_chains,
            mode_indices=(),
            modes=modes,
            seed=seed,
        )
        pictures = list(zip(run.snapshot_times.tolist(), run.snapshots_m, run.snapshots_n, strict=True))
        if number == 0:
            stages.append(("start", *pictures[0][1:]))
        if number == len(diffusions) - 1:
            stages += [(f"D = {spread:g}, t = {moment:.2g}", m, n) for moment, m, n in pictures[2:]]
        else:
            stages.append((f"D = {spread:g}", run.m, run.n))
    return stages


def _stage(
    rbm: RBM, modes: Modes, kept: list[int], name: str, m: Tensor, n: Tensor, n_shown: int, seed: int
) -> xr.Dataset:
    import torch
    import xarray as xr

    u = modes.project(m.double(), n.double()).u[:, kept].cpu().numpy()
    probability = m.float() if name == "Gibbs" else rbm.visible_probability(n.to(rbm.dtype)).float()
    stream = Stream(seed, f"diffused_images/bits/{name}")
    uniform = stream.uniform(0, len(u), rbm.n_visible, device=probability.device)
    energy = rbm.free_energy((uniform < probability).to(rbm.dtype)).double().cpu().numpy()
    root = np.sqrt(len(u))
    spread = u.std(0, ddof=1)
    kurtosis = ((u - u.mean(0)) ** 4).mean(0) / np.maximum(spread**4, 1e-300)
    unit = {"units": "1"}
    return xr.Dataset(
        {
            "picture": (("sample", "unit"), probability[:n_shown].cpu().numpy().astype(np.float32), unit),
            "mean": ("mode", u.mean(0), unit),
            "mean_stderr": ("mode", spread / root, unit),
            "sd": ("mode", spread, unit),
            "sd_stderr": ("mode", spread * np.sqrt(np.maximum(kurtosis - 1, 0)) / (2 * root), unit),
            "free_energy": ((), float(energy.mean()), {"units": "k_B T"}),
            "free_energy_sd": ((), float(energy.std(ddof=1)), {"units": "k_B T"}),
            "activity": ((), float(torch.mean(probability)), unit),
            "n_states": ((), len(u), {"units": "states"}),
        }
    )


def _comparison(dataset: xr.Dataset, stage: int) -> dict[str, float]:
    """How far a stage is from the samples: medians over the modes, and free energies."""
    one, reference = dataset.isel(stage=stage), dataset.isel(stage=-1)
    errors = [float(at.free_energy_sd) / np.sqrt(float(at.n_states)) for at in (one, reference)]
    return {
        "sd_ratio": float(np.median(one["sd"].values / reference["sd"].values)),
        "mean_distance": float(np.median(np.abs(one["mean"].values - reference["mean"].values))),
        "free_energy_excess": float(one.free_energy - reference.free_energy),
        "free_energy_excess_stderr": float(np.hypot(*errors)),
    }


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """Pictures of every stage, one row each, above the comparison of mode means, spreads and free energies."""
    names = [str(name).replace("Gibbs", "samples") for name in dataset["stage"].values]
    shape = (int(dataset.attrs["height"]), int(dataset.attrs["width"]))
    n_shown = dataset.sizes["sample"]
    states = dataset["picture"].values
    pictured = is_image(shape)
    row = PAGE_WIDTH / n_shown * 0.85 * shape[0] / shape[1] if pictured else 0.25 + 0.03 * n_shown
    figure, axes = new_figure(2, 1, size=(PAGE_WIDTH, row * len(names) + 3.2), height_ratios=[row * len(names), 2.7])
    picture = axes[0, 0]
    if pictured:
        shown = mosaic(states.reshape(len(names) * n_shown, -1), shape, n_shown)
    else:
        shown = mosaic(states.reshape(len(names), -1), (n_shown, states.shape[-1]), 1)
    show_states(picture, shown, "auto")
    edges = np.arange(len(names)) + 0.5
    total = picture.get_ylim()[0] + 0.5
    picture.set_yticks(edges * total / len(names), names)
    picture.set_xticks([])
    picture.tick_params(length=0)
    for spine in picture.spines.values():
        spine.set_visible(False)
    place = axes[1, 0].get_subplotspec().subgridspec(1, 3)
    axes[1, 0].remove()
    left, middle, right = (figure.add_subplot(place[0, k]) for k in range(3))
    compared = [name for name in names[1:] if ", t" not in name or name == names[-2]]
    for index, name in enumerate(compared):
        _draw_stage(left, middle, dataset.isel(stage=names.index(name)), index, name)
    left.set_ylabel("mean of u (1)")
    middle.set_ylabel("standard deviation of u")
    for panel in (left, middle):
        panel.set_xlabel("mode")
    middle.set_ylim(bottom=0)
    places = np.arange(len(names))
    right.errorbar(
        places, dataset["free_energy"], dataset["free_energy_sd"], color=colour(0), marker="o", linestyle="none"
    )
    right.set_xticks(places, names, rotation=90, fontsize=6.5)
    right.set_ylabel("free energy F(v) ± sd ($k_BT$)")
    legend_below(figure, left)
    panel_letters([picture, left, middle, right])
    return figure


def _draw_stage(left: Axes, middle: Axes, one: xr.Dataset, index: int, name: str) -> None:
    black = name == "samples"
    style: dict[str, Any] = {
        "color": "black" if black else colour(index),
        "marker": marker(index),
        "markersize": 2.5,
        "linewidth": 0.6,
        "label": name,
    }
    for panel, quantity in ((left, "mean"), (middle, "sd")):
        panel.errorbar(one["mode"] + 1, one[quantity], one[f"{quantity}_stderr"], **style)


def alt_text(dataset: xr.Dataset) -> str:
    """How far each stage is from the samples, and what that says about the mapping."""
    parts = []
    last = dataset["stage"].values[-2]
    for position, name in enumerate(dataset["stage"].values[:-1]):
        if position == 0 or (", t" in name and name != last):
            continue
        found = _comparison(dataset, position)
        parts.append(
            f"{name}: median ratio of the modes' standard deviations {found['sd_ratio']:.2f}, median distance of their "
            f"means {found['mean_distance']:.2f}, free energy {found['free_energy_excess']:+.0f} ± "
            f"{found['free_energy_excess_stderr']:.1g} k_B T from that of the samples"
        )
    decoded = "pixels" if is_image((int(dataset.attrs["height"]), int(dataset.attrs["width"]))) else "activities"
    return (
        f"Confined diffusion decoded to {decoded}, beside equilibrium samples; {'; '.join(parts)}. "
        f"{_judgement(dataset)} {verdict(dataset)}"
    )


def _judgement(dataset: xr.Dataset) -> str:
    """Whether exp(-βU_eff) generates the model's images: three standard errors of free energy, a tenth of the width."""
    attrs = dataset.attrs
    same = abs(attrs["free_energy_excess"]) < 3 * attrs["free_energy_excess_stderr"]
    spread = float(attrs["diffusion"])
    if same and abs(attrs["sd_ratio"] - 1) < 0.1:
        return f"At D = {spread:g} the diffusion generates what the model does, within errors."
    return (
        f"At D = {spread:g} the diffusion does not generate the model's states: modes have {attrs['sd_ratio']:.2f} of "
        "their width (median), for U_eff is a saddle-point potential, without the fluctuations of the bits about their "
        "activities."
    )
