"""Which recipe gives the best test log-likelihood for its time?  The measurement behind `TrainingConfig.recommended`.

``python -m benchmarks.recipes --epochs 30 --recipes recommended "rate 0.4"``

Every recipe trains M = 500 on binarised MNIST for the same time: those that cost as much an update as the recommended
one for as many epochs, the others for as many as a trial of both in turns finds to take as long.  Log-likelihood of
the 10 000 test images by BAR inside the bracket of both annealing directions.  Two processes with ``--threads 1`` and
a ``--name`` each may share the work on two cores.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import rbmscape as rs
from benchmarks.harness import parser, save, show, start

RECIPES: dict[str, dict[str, Any]] = {
    "recommended": {},
    "no averaging": {"averaging": 0},
    "rate 0.1": {"learning_rate": 0.1},
    "rate 0.2": {"learning_rate": 0.2},
    "rate 0.4": {"learning_rate": 0.4},
    "rate 0.8": {"learning_rate": 0.8},
    "rate 1.2": {"learning_rate": 1.2},
    "rate 1.6": {"learning_rate": 1.6},
    "rate 0.8, not clipped": {"learning_rate": 0.8, "clip": 0.0},
    "rate 0.8, warm-up": {"learning_rate": 0.8, "clip": 0.0, "warmup": 600},
    "2 Gibbs steps": {"gibbs_steps": 2},
    "5 Gibbs steps": {"gibbs_steps": 5},
    "batch 250": {"batch_size": 250},
    "decay from 0.3": {"decay_start": 0.3},
    "momentum 0.5": {"momentum": 0.5, "learning_rate": 0.4},
    "centred Adam": {"optimizer": "adam", "learning_rate": 1e-3},
    "paper, 10 steps": rs.TrainingConfig.paper(gibbs_steps=10).model_dump(exclude={"engine", "precision", "n_hidden"}),
}
TRIAL_UPDATES, TRIALS = 30, 3
COSTLY = ("gibbs_steps", "batch_size", "n_chains")
"""Settings that change what an update costs."""


def seconds_an_epoch(dataset: rs.Dataset, changes: dict[str, Any]) -> float:
    """From a trial of 30 updates, after five that are not counted."""
    config = rs.TrainingConfig.recommended(**(changes | {"epochs": 5, "early_checkpoints": 0}))
    rs.train(dataset, config, progress=False, until_update=5)
    began = time.perf_counter()
    run = rs.train(dataset, config, progress=False, until_update=TRIAL_UPDATES)
    return (time.perf_counter() - began) * run.updates_per_epoch / TRIAL_UPDATES


def epochs_for(epochs: int, dataset: rs.Dataset, changes: dict[str, Any]) -> int:
    """Epochs that take as long as so many of the recommended recipe."""
    if not any(name in changes and changes[name] != getattr(rs.TrainingConfig(), name) for name in COSTLY):
        return epochs
    trials = [[seconds_an_epoch(dataset, one) for one in ({}, changes)] for _ in range(TRIALS)]
    return max(2, round(epochs * statistics.median(usual / own for usual, own in trials)))


def measure(name: str, epochs: int, dataset: rs.Dataset, seed: int, chains: int) -> dict[str, Any]:
    changes = RECIPES[name]
    epochs = epochs_for(epochs, dataset, changes)
    config = rs.TrainingConfig.recommended(**(changes | {"epochs": epochs, "seed": seed}))
    run = rs.train(dataset, config, progress=False)
    *earlier, model = run.models()
    bracket = rs.likelihood_bracket(model, dataset, models=earlier, n_chains=chains, max_betas=8000, seed=seed)
    record: dict[str, Any] = {"recipe": name, "epochs": epochs, "seconds": run.rows[-1]["seconds"]}
    for kind, one in (("bar", bracket.best), ("lower", bracket.lower), ("upper", bracket.upper)):
        record[kind] = {"value": one.value, "stderr": one.stderr}
    return record | {"converged": bracket.converged, "objections": list(bracket.objections)}


def shown(estimate: dict[str, float]) -> str:
    return str(rs.Estimate(estimate["value"], estimate["stderr"]))


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--epochs", type=int, default=50, help="of the recommended recipe")
    options.add_argument("--chains", type=int, default=200, help="of the bracket")
    options.add_argument("--name", default="recipes", help="of the JSON file")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    chosen = options.parse_args()
    where = start(chosen.threads)
    dataset = rs.load_dataset("mnist")
    records = []
    for name in chosen.recipes:
        records.append(measure(name, chosen.epochs, dataset, chosen.seed, chosen.chains))
        content = {"epochs": chosen.epochs, "seed": chosen.seed, "recipes": records}
        saved = save(chosen.name, chosen.out, where, content)
        print(records[-1], flush=True)
    head = ["recipe", "epochs", "seconds", "BAR", "lower bound", "upper bound", "converged"]
    rows = [
        [
            r["recipe"],
            r["epochs"],
            r["seconds"],
            *(shown(r[k]) for k in ("bar", "lower", "upper")),
            r["converged"],
        ]
        for r in records
    ]
    show("Test log-likelihood (nats)", head, rows)
    print(f"saved {saved}")


if __name__ == "__main__":
    main()
