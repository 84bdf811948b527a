"""What the figures of a study cost: a rough count of their work, for estimates of time.

Each figure is a constant, for what does not depend on sizes, plus Gibbs sweeps and factorisations of W, counted from
its options.  The constants are seconds of one quiet core of an AMD EPYC (Zen 4), where `REFERENCE_SVD` was
measured as well; an estimate scales them by how long that factorisation takes where it is made.
"""

# ruff: noqa: ARG005, all costs have one signature

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["FIGURE_COSTS", "REFERENCE_SVD", "FigureScene", "figure_seconds", "sampling_seconds"]

REFERENCE_SVD: Final = 0.20
"""Seconds of `rbmscape.Modes.of` for N = 784, M = 500 on the machine of this module's constants."""

UNKNOWN: Final = 10.0
"""Seconds of a figure that is not in the table."""


@dataclass(frozen=True)
class FigureScene:
    """What a figure's cost depends on beside its options.

    Attributes
    ----------
    n_visible, hidden : N, and the sizes of the main recipe
    main : the size that single-size figures show, nearest to 500
    replicas : of the main recipe
    runs : of all recipes
    checkpoints : of a run of the main recipe
    sweep, annealing : size to seconds of a Gibbs sweep of one chain, and of one that is tempered
    svd : size to seconds of `rbmscape.Modes.of`
    slowness : this machine's time for constants over the reference's
    """

    n_visible: int
    hidden: tuple[int, ...]
    main: int
    replicas: int
    runs: int
    checkpoints: int
    sweep: Callable[[int], float]
    annealing: Callable[[int], float]
    svd: Callable[[int], float]
    slowness: float

    def base(self, seconds: float) -> float:
        """What takes so many seconds on the machine of the constants."""
        return seconds * self.slowness

    def chains(self, count: float, steps: float, hidden: int | None = None) -> float:
        """Seconds of Gibbs sampling; short batches of chains cost as much as about 60."""
        return max(60.0, count) * steps * self.sweep(hidden or self.main)

    def factors(self, count: float = 1.0, hidden: int | None = None) -> float:
        """Seconds of factorisations."""
        return count * self.svd(hidden or self.main)


Options = Mapping[str, Any]
Cost = Callable[[FigureScene, Options], float]

BUDGET: Final = 1e12
"""Multiply-adds that the equilibrium samples of one run take at most, unless the plan says otherwise."""
ROUNDS: Final = 20_000.0
"""Sweeps of one chain a checkpoint that they take where that is less."""
OVERRUN: Final = 4.0
"""Budgets that they may take at most."""
LADDER: Final = 2560.0
"""Sweeps of one chain that the choice of a rung takes: about twenty of 128 pilots."""


def sampling_seconds(scene: FigureScene, options: Options, hidden: int) -> float:
    """Equilibrium samples of all checkpoints of one run."""
    budget = float(options.get("sampling", {}).get("budget", BUDGET))
    sweeps = min(budget / (2.0 * scene.n_visible * hidden), ROUNDS * scene.checkpoints)
    rungs = 5.0 * math.sqrt(hidden) * scene.checkpoints / 22.0
    return scene.base(1.0) + (OVERRUN * sweeps + LADDER * rungs) * scene.annealing(hidden)


def _following(scene: FigureScene, hidden: int) -> float:
    """Modes of every checkpoint, followed."""
    return scene.checkpoints * scene.factors(2, hidden)


def _rotations(scene: FigureScene, o: Options) -> float:
    along = min(o["n_along"] or scene.checkpoints, scene.checkpoints)
    count = (scene.replicas * (1 + along) + 2 * o["n_null"]) * (1 + o["n_rotations"])
    return sum(scene.factors(0.35 * count, hidden) for hidden in scene.hidden)


def _kurtosis(scene: FigureScene, o: Options) -> float:
    products = sum(float(scene.n_visible**2 + hidden**2) for hidden in o["hidden"])
    return scene.base(1.0 + 2.5e-11 * float(o["n_states"]) * products)


FIGURE_COSTS: Final[Mapping[str, Cost]] = {
    "likelihood": lambda s, o: s.base(0.5),
    "gallery": lambda s, o: s.base(0.5) + 0.01 * sum(s.factors(1, hidden) for hidden in s.hidden),
    "image_landscapes": lambda s, o: s.base(2.0) + s.factors(1),
    "landscapes": lambda s, o: s.base(1.5) + s.factors(2),
    "random_spectra": lambda s, o: (
        s.base(0.7) + sum(s.factors(0.3 * o["n_simulations"], hidden) for hidden in o["hidden"])
    ),
    "kurtosis": _kurtosis,
    "spectrum": lambda s, o: s.base(1.0) + sum(s.factors(0.5 * s.runs / len(s.hidden), hidden) for hidden in s.hidden),
    "gaussianity": lambda s, o: s.base(1.5) + s.factors(8),
    "evolution": lambda s, o: s.base(1.0) + _following(s, s.main),
    "rotational_symmetry": lambda s, o: s.base(2.0) + _rotations(s, o),
    "hierarchy": lambda s, o: s.base(1.0) + s.factors(8),
    "symmetry_breaking": lambda s, o: s.base(0.7) + _following(s, s.main),
    "symmetry_breaking_sizes": lambda s, o: (
        s.base(0.7) + sum(_following(s, hidden) for hidden in s.hidden if hidden != s.main)
    ),
    "centres": lambda s, o: s.base(1.0) + sum(s.factors(3 * s.replicas, hidden) for hidden in s.hidden),
    "spectral_gap": lambda s, o: s.base(1.0) + o["n_checkpoints"] * s.factors(0.5 * s.runs / len(s.hidden)),
    "landau_wells": lambda s, o: s.base(2.0) + s.checkpoints * s.factors(2.5),
    "transitions": lambda s, o: s.base(2.0) + s.replicas * _following(s, s.main),
    "alignment": lambda s, o: s.base(1.5) + s.runs / len(s.hidden) * s.checkpoints * s.factors(1),
    "bosons": lambda s, o: s.base(2.0) + s.checkpoints * s.factors(1.5),
    "mode_potentials": lambda s, o: s.base(12.0) + s.factors(20),
    "mode_diffusion": lambda s, o: s.base(5.0),
    "relaxation": lambda s, o: (
        s.base(5.0) + o["n_checkpoints"] * (s.factors(4) + s.chains(o["n_chains"], 2 * o["n_steps"]))
    ),
    "diffused_images": lambda s, o: s.base(1.0) + s.chains(o["n_chains"], 300 * o["time"]),
}
"""Figure to seconds, from a scene and the figure's options with their defaults filled in, beside its samples."""


def figure_seconds(name: str, scene: FigureScene, options: Options) -> float:
    """Roughly how long a figure takes."""
    cost = FIGURE_COSTS.get(name)
    return UNKNOWN * scene.slowness if cost is None else cost(scene, options)
