"""Which optimiser makes which spectrum: the first updates on MNIST by plain SGD, Adam (the paper's recipe) and the
centred gradient.

``python -m benchmarks.optimizer_spectra --runs runs/optimizers``

Expected before measuring: plain gradient ascent grows the modes of the data's covariance at rates in the order of its
eigenvalues, so that the first left singular vectors become the first principal components before λ_1 reaches 4.
Adam divides every gradient by its size: its first steps are ±η, with a sign that depends on the pixel alone as long as
all hidden units are alike.  That is a rank-one matrix, mode 1, uniform over the hidden units and no principal
component, with a singular value of up to η√(NM) = 0.6 a step, isolated above the random bulk from the start.  The
centred gradient removes the mean's part of the gradient and should leave no such mode.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import rbmscape as rs
from benchmarks.harness import parser, save, show, start
from rbmscape.figures import alignment
from rbmscape.figures.style import save as save_figure

COMMON = {"n_hidden": 500, "gibbs_steps": 10, "schedule": "constant", "averaging": 0, "early_checkpoints": 40}
RECIPES = {
    "SGD, plain": {"gradient": "plain", "optimizer": "sgd", "learning_rate": 0.05},
    "Adam, plain": {"gradient": "plain", "optimizer": "adam", "learning_rate": 1e-3},
    "SGD, centred": {"gradient": "centered", "optimizer": "sgd", "learning_rate": 0.1},
}
BEFORE = 60


def first_best(updates: NDArray[np.float64], overlaps: NDArray[np.float64]) -> tuple[int, NDArray[np.float64]]:
    """The update before number 60 at which the smallest of the overlaps is largest, and the overlaps there."""
    early = updates < BEFORE
    best = int(np.argmax(np.where(early, overlaps.min(1), -1.0)))
    return int(updates[best]), overlaps[best]


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--runs", type=Path, default=Path("runs/optimizers"), help="where runs are kept and resumed")
    options.add_argument("--epochs", type=int, default=1)
    options.add_argument("--replicas", type=int, default=2)
    chosen = options.parse_args()
    where = start(chosen.threads)
    dataset = rs.load_dataset("mnist")
    runs: dict[str, list[rs.Run]] = {}
    for label, changes in RECIPES.items():
        for seed in range(chosen.replicas):
            config = rs.TrainingConfig(**COMMON, **changes, epochs=chosen.epochs, seed=seed)
            name = label.replace(", ", "-").lower()
            runs.setdefault(label, []).append(rs.train(dataset, config, chosen.runs / f"{name}-{seed}", resume=True))
    found = alignment.compute(runs, dataset)
    rows = []
    for label in runs:
        for replica in range(chosen.replicas):
            one = found.sel(recipe=label, replica=replica)
            known = np.isfinite(one["update"].values)
            values = one.singular_value.values[known]
            update, overlaps = first_best(one["update"].values[known], one.overlap.values[known])
            uniform = float(one.uniform.values[known][-1, 0])
            top = [*map(float, values[-1, :3]), float(values[-1, 0] / values[-1, 1])]
            rows.append([label, replica, update, *map(float, overlaps), uniform, *top])
    columns = ["recipe", "seed", "update", "mode 1", "mode 2", "mode 3", "uniform", "λ1", "λ2", "λ3", "λ1/λ2"]
    show("Overlaps with principal components before update 60, and the spectrum at the end", columns, rows)
    content = {"rows": [dict(zip(columns, row, strict=True)) for row in rows], "epochs": chosen.epochs}
    save("optimizer_spectra", chosen.out, where, content)
    save_figure(alignment.draw(found), found, chosen.out, "optimizer_spectra")


if __name__ == "__main__":
    main()
