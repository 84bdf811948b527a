r"""P(z, t) of one mode: the Gaussian diffusion and the confined one (arXiv:2503.21536, eqs. 33-38, 47-48).

The same start in the harmonic expansion of the effective potential, where an unstable mode spreads without end, and in
the exact one-dimensional potential, which confines it: densities along time, snapshots, and the lowest relaxation
rates Γ = 2D𝓔.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from rbmscape.diffusion.fokker_planck import FokkerPlanck1D
from rbmscape.diffusion.mode_potential import mode_potential
from rbmscape.diffusion.reference import reference_point
from rbmscape.figures.datasets import provenance_attrs
from rbmscape.figures.spec import Count, FigureOptions, FigureSpec
from rbmscape.figures.style import PAGE_WIDTH, SEQUENTIAL, colour, log_axis, new_figure, panel_letters, print_style
from rbmscape.reciprocal.modes import Modes

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from rbmscape.figures.analysis import Subject
    from rbmscape.figures.material import Material
    from rbmscape.model.rbm import RBM

__all__ = ["SPEC", "Options", "alt_text", "compute", "draw", "for_model", "for_study"]

N_LEVELS = 6
JUST_UNSTABLE = 4.5
_TALLEST = 45.0


class Options(FigureOptions):
    """What a plan may choose for it.

    Parameters
    ----------
    mode : from 0; by default the one whose βλ is nearest to 4.5, just beyond the threshold, where the barrier between
        the wells is low enough to be crossed
    n_times : moments in the picture
    n_points : places in the picture
    beta : inverse temperature
    """

    mode: Annotated[int, Field(ge=0)] | None = None
    n_times: Count = 48
    n_points: Count = 121
    beta: Annotated[float, Field(gt=0)] = 1.0


SPEC = FigureSpec(
    title="Diffusion of one mode",
    caption=(
        "Density of u of a just unstable mode against time, in the harmonic potential and in the exact one (equations "
        "33 to 38); snapshots, and the lowest relaxation rates."
    ),
    reading=(
        "In the harmonic potential the density runs away from where it began, in the exact one it stops in a well. "
        "The lowest rate above 0 is that at which the last memory of the start is lost."
    ),
    order=290,
    analysis=(),
    cost=lambda scene, _: scene.base(5.0),
    options=Options,
)


def for_study(material: Material) -> xr.Dataset:
    """Data of the figure for the last checkpoint of the size nearest to the paper's 500."""
    return compute(material.run().load(), **material.settings)


def for_model(subject: Subject) -> xr.Dataset:
    """Data of the figure for one model."""
    return compute(subject.model)


def compute(rbm: RBM, **options: Any) -> xr.Dataset:
    """Evolution of the density of u of one mode from a narrow start beside the centre.

    Parameters
    ----------
    rbm : the model
    **options : of `Options`

    Returns
    -------
    Dataset over (time, z): ``confined`` and ``gaussian`` densities; ``potential`` over z; ``rate_confined`` and
    ``rate_gaussian`` over level (Γ = 2D𝓔; |ω|(n + 1) where the Gaussian mode is unstable); attributes ``stiffness`` and
    ``mean``, ``variance`` of the start

    Raises
    ------
    InputError : no such mode, or a flat one
    """
    import xarray as xr

    asked = Options(**options)
    modes = Modes.of(rbm)
    mode = asked.mode
    if mode is None:
        mode = int((asked.beta * modes.singular_values - JUST_UNSTABLE).abs().argmin())
    potential = mode_potential(modes, mode, reference_point(rbm), "u", "marginal", asked.beta)
    singular_value = float(modes.singular_values[mode])
    stiffness = 4 / asked.beta - singular_value
    grid = _shown_range(potential, asked.n_points, asked.beta)
    width = float(grid[-1] - grid[0])
    centre = potential.reference
    inside = float(np.clip(centre + 0.06 * width, grid[0] + 0.1 * width, grid[-1] - 0.1 * width))  # wells may lie aside
    mean, variance = inside, (0.02 * width) ** 2
    operator = FokkerPlanck1D(potential, grid, asked.beta)
    slowest = max(float(operator.relaxation_rates[1]), 1e-3)
    times = np.concatenate([[0.0], np.geomspace(2e-3, max(3.0, min(20 / slowest, 300.0)), asked.n_times - 1)])
    start = np.exp(-((grid - mean) ** 2) / (2 * variance))
    confined = operator.evolve(start, times)
    rest = 4 / asked.beta * centre / stiffness if abs(stiffness) > 1e-9 else centre  # where the harmonic force vanishes
    gaussian = _ornstein_uhlenbeck(grid, times, mean - rest, variance, stiffness, 1 / asked.beta, rest)
    levels = np.arange(N_LEVELS)
    omega = asked.beta * stiffness / 2
    gaussian_levels = omega * levels if omega > 0 else -omega * (levels + 1)
    return xr.Dataset(
        {
            "confined": (("time", "z"), confined, {"units": "1"}),
            "gaussian": (("time", "z"), gaussian, {"units": "1"}),
            "potential": ("z", potential(grid) - potential(grid).min(), {"units": "k_B T"}),
            "rate_confined": ("level", operator.relaxation_rates[:N_LEVELS], {"units": "1/time"}),
            "rate_gaussian": ("level", 2 / asked.beta * gaussian_levels, {"units": "1/time"}),
        },
        coords={"time": times, "z": grid, "level": levels},
        attrs=provenance_attrs(
            beta=asked.beta,
            mode=mode,
            stiffness=stiffness,
            singular_value=singular_value,
            mean=mean,
            variance=variance,
        ),
    )


def _shown_range(potential: object, n_points: int, beta: float) -> NDArray[np.float64]:
    """The part of the domain in which βU stays within reach of a start near the centre."""
    assert callable(potential)
    wide = potential.grid(2001, 1e-4)  # type: ignore[attr-defined]
    height = beta * np.asarray(potential(wide))
    low = np.flatnonzero(height - height.min() < _TALLEST)
    return np.linspace(wide[low[0]], wide[low[-1]], n_points)


def _ornstein_uhlenbeck(
    z: NDArray[np.float64],
    times: NDArray[np.float64],
    displacement: float,
    variance: float,
    stiffness: float,
    diffusion: float,
    rest: float,
) -> NDArray[np.float64]:
    """Exact Gaussian density of dz = -stiffness (z - rest) dt + sqrt(2D) dB: (T, n); stiffness of either sign."""
    x = -2 * stiffness * times
    decay = np.exp(np.minimum(x / 2, 300.0))
    gained = (
        2 * diffusion * times * np.where(np.abs(x) < 1e-9, 1.0, np.expm1(np.minimum(x, 600.0)) / np.where(x, x, 1.0))
    )
    spread = variance * decay**2 + gained
    mean = rest + displacement * decay
    exponent = -((z[None] - mean[:, None]) ** 2) / (2 * spread[:, None])
    return np.asarray(np.exp(exponent) / np.sqrt(2 * np.pi * spread[:, None]))


@print_style()
def draw(dataset: xr.Dataset) -> Figure:
    """Both densities along time, snapshots, and relaxation rates."""
    figure, axes = new_figure(2, 2, size=(PAGE_WIDTH, 4.8))
    top = float(np.quantile(dataset["confined"].values, 0.99))
    for panel, name, title in (
        (axes[0, 0], "gaussian", "harmonic potential (39)"),
        (axes[0, 1], "confined", "exact potential"),
    ):
        mesh = panel.pcolormesh(
            dataset["z"],
            np.maximum(dataset["time"].values, 1e-3),
            dataset[name],
            cmap=SEQUENTIAL,
            vmin=0,
            vmax=top,
            shading="nearest",
            rasterized=True,
        )
        log_axis(panel)
        panel.set_xlabel(f"u of mode {int(dataset.attrs['mode']) + 1}")
        panel.set_ylabel("time (friction 1)")
        panel.set_title(title)
    figure.colorbar(mesh, ax=list(axes[0]), label="P(u, t)")
    _draw_snapshots(axes[1, 0], dataset)
    _draw_rates(axes[1, 1], dataset)
    panel_letters(axes)
    return figure


def _draw_snapshots(panel: Axes, dataset: xr.Dataset) -> None:
    picks = np.unique(np.linspace(1, dataset.sizes["time"] - 1, 4).astype(int))
    for index, pick in enumerate(picks):
        one = dataset.isel(time=pick)
        time = float(one["time"])
        label = f"t = {time:.2g}" if time < 100 else f"t = {time:.0f}"
        panel.plot(one["z"], one["confined"], color=colour(index), label=label)
        panel.plot(one["z"], one["gaussian"], color=colour(index), linestyle=":")
    panel.set_xlabel(f"u of mode {int(dataset.attrs['mode']) + 1}")
    panel.set_ylabel("P(u, t); dotted: harmonic")
    panel.legend(loc="best")


def _draw_rates(panel: Axes, dataset: xr.Dataset) -> None:
    levels = dataset["level"].values
    smallest = max(float(dataset["rate_confined"].values[1]) / 3, 1e-12)
    for index, (name, label) in enumerate((("gaussian", "harmonic"), ("confined", "exact"))):
        values = dataset[f"rate_{name}"].values
        shown = values > smallest / 10
        panel.plot(levels[shown], values[shown], "os"[index], color=colour(index), label=label)
    log_axis(panel)
    if dataset.attrs["stiffness"] < 0:
        panel.annotate("harmonic: no stationary state", (0.03, 0.93), xycoords="axes fraction", fontsize=7.5)
    panel.set_xticks(levels)
    panel.set_xlabel("level n")
    panel.set_ylabel(r"relaxation rate $\Gamma$ (1/time)")
    panel.legend(loc="lower right")


def alt_text(dataset: xr.Dataset) -> str:
    """Stability of the mode and the slowest rates."""
    stiffness = float(dataset.attrs["stiffness"])
    if stiffness > 0:
        harmonic = f"relaxes at the rate {stiffness:.3g}"
    else:
        harmonic = f"has no stationary state and spreads at the rate {-stiffness:.3g}"
    return (
        f"Density of u of mode {int(dataset.attrs['mode']) + 1} (λ = {float(dataset.attrs['singular_value']):.3g}) "
        f"against time: in the harmonic potential it {harmonic}; in the exact one it relaxes, slowest rate "
        f"{float(dataset['rate_confined'].values[1]):.3g}."
    )
