"""Which optimiser makes which spectrum: plain SGD, Adam (the paper's recipe) and the centred gradient on MNIST.

``python -m benchmarks.optimizer_spectra`` trains its own runs (one epoch, kept in runs/optimizers and resumed);
``--study studies/laptop`` takes the runs of a study at one size instead, ``--run LABEL=DIRECTORY`` single runs.

Expected before measuring: plain gradient ascent grows the modes of the data's covariance at rates in the order of its
eigenvalues, so that the first left singular vectors become the first principal components before λ_1 reaches 4.
Adam divides every gradient by its size: its first steps are ±η, with a sign that depends on the pixel alone as long as
all hidden units are alike.  That is a rank-one matrix, mode 1, uniform over the hidden units and no principal
component, with a singular value of up to η√(NM) = 0.6 a step, isolated above the random bulk from the start.  The
centred gradient removes the mean's part of the gradient and should leave no such mode.  Late in an Adam training the
gap below the isolated λ_1 should move with the epoch, and lie about [33, 35] where λ_2 < 33 and λ_1 > 35.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import rbmscape as rs
from benchmarks.harness import parser, save, show, start
from rbmscape.figures import alignment, spectral_gap
from rbmscape.figures.material import RunKey
from rbmscape.figures.style import save as save_figure

if TYPE_CHECKING:
    import xarray as xr

Runs = dict[str, list[rs.Run]]

COMMON = {"n_hidden": 500, "gibbs_steps": 10, "schedule": "constant", "averaging": 0, "early_checkpoints": 40}
RECIPES = {
    "SGD, plain": {"gradient": "plain", "optimizer": "sgd", "learning_rate": 0.05},
    "Adam, plain": {"gradient": "plain", "optimizer": "adam", "learning_rate": 1e-3},
    "SGD, centred": {"gradient": "centered", "optimizer": "sgd", "learning_rate": 0.1},
}
EARLY_COLUMNS = ["recipe", "seed", "update", "mode 1", "mode 2", "mode 3", "uniform until"]
LATE_COLUMNS = ["recipe", "seed", "epoch", "λ1", "λ2", "gap from", "gap to", "λ1/λ2", "uniform", "[33, 35] empty"]


def trained(directory: Path, epochs: int, replicas: int, dataset: rs.Dataset) -> Runs:
    """Runs of the three recipes, made here or found."""
    runs: Runs = {}
    for label, changes in RECIPES.items():
        for seed in range(replicas):
            config = rs.TrainingConfig(**COMMON, **changes, epochs=epochs, seed=seed)
            name = label.replace(", ", "-").lower()
            runs.setdefault(label, []).append(rs.train(dataset, config, directory / f"{name}-{seed}", resume=True))
    return runs


def of_study(directory: Path, hidden: int) -> Runs:
    """PCD runs of a study at one size, by recipe."""
    runs: Runs = {}
    for key, run in sorted(rs.open_study(directory).runs.items()):
        if key.hidden == hidden and run.config.method == "pcd":
            runs.setdefault(key.recipe, []).append(run)
    return runs


def named(pairs: Sequence[str]) -> Runs:
    """Runs given as LABEL=DIRECTORY."""
    runs: Runs = {}
    for pair in pairs:
        label, _, directory = pair.partition("=")
        runs.setdefault(label, []).append(rs.Run.open(directory))
    return runs


def early_rows(found: xr.Dataset, runs: Mapping[str, Sequence[rs.Run]]) -> list[list[object]]:
    """Overlaps at the best early update of every run."""
    rows: list[list[object]] = []
    for label, replicas in runs.items():
        for replica in range(len(replicas)):
            one = found.sel(recipe=label, replica=replica)
            at = int(np.flatnonzero(one["update"].values == float(one.best_update))[0])
            overlaps = map(float, one.overlap.values[at, :3])
            rows.append([label, replica, int(one.best_update), *overlaps, float(one.uniform_until)])
    return rows


def late_rows(gaps: xr.Dataset) -> list[list[object]]:
    """Spectrum and widest gap of every run at its checkpoints."""
    rows: list[list[object]] = []
    for position in range(gaps.sizes["run"]):
        run = gaps.isel(run=position)
        for k in np.flatnonzero(np.isfinite(run["update"].values)):
            at = run.isel(checkpoint=int(k))
            values = at.singular_value.values
            names = ("gap_low", "gap_high", "isolation", "uniform", "empty")
            rows.append(
                [str(run.recipe.values), int(run.replica), float(at.epoch), float(values[0]), float(values[1])]
                + [float(at[name]) for name in names]
            )
    return rows


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--runs", type=Path, default=Path("runs/optimizers"), help="where runs are kept and resumed")
    options.add_argument("--epochs", type=int, default=1)
    options.add_argument("--replicas", type=int, default=2)
    options.add_argument("--study", type=Path, help="take the runs of a study")
    options.add_argument("--hidden", type=int, default=500, help="their size")
    options.add_argument("--run", action="append", default=[], metavar="LABEL=DIRECTORY", help="take this run")
    options.add_argument("--checkpoints", type=int, default=12, help="of the table along training")
    chosen = options.parse_args()
    where = start(chosen.threads)
    dataset = rs.load_dataset("mnist")
    if chosen.run:
        runs = named(chosen.run)
    elif chosen.study:
        runs = of_study(chosen.study, chosen.hidden)
    else:
        runs = trained(chosen.runs, chosen.epochs, chosen.replicas, dataset)
    found = alignment.compute(runs, dataset)
    keys = {RunKey(label, chosen.hidden, k): run for label, group in runs.items() for k, run in enumerate(group)}
    gaps = spectral_gap.compute(keys, n_checkpoints=chosen.checkpoints)
    early, late = early_rows(found, runs), late_rows(gaps)
    show(f"Overlaps with principal components before update {alignment.EARLY}", EARLY_COLUMNS, early)
    show("Largest singular values and the widest gap along training", LATE_COLUMNS, late)
    content = {
        "early": [dict(zip(EARLY_COLUMNS, row, strict=True)) for row in early],
        "late": [dict(zip(LATE_COLUMNS, row, strict=True)) for row in late],
        "runs": {label: [str(run.directory.name) for run in group] for label, group in runs.items()},
    }
    save("optimizer_spectra", chosen.out, where, content)
    save_figure(alignment.draw(found), found, chosen.out, "optimizer_spectra")
    save_figure(spectral_gap.draw(gaps), gaps, chosen.out, "optimizer_gaps")


if __name__ == "__main__":
    main()
