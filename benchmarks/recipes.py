"""Which recipe gives the best test log-likelihood for its time?  The measurement behind `TrainingConfig.recommended`.

``python -m benchmarks.recipes --minutes 4 --recipes recommended paper``

Every recipe trains M = 500 on binarised MNIST; a short trial chooses its epochs so that training takes the given
time on this machine.  Log-likelihood of the 10 000 test images by BAR inside the bracket of both annealing directions,
and by AIS alone (500 chains, 1000 temperatures), an upper bound in expectation.
"""

from __future__ import annotations

import time
from typing import Any

import rbmscape as rs
from benchmarks.harness import parser, save, show, start

RECIPES: dict[str, dict[str, Any]] = {
    "recommended": {},
    "no averaging": {"averaging": 0},
    "rate 0.1": {"learning_rate": 0.1},
    "rate 0.4": {"learning_rate": 0.4},
    "5 Gibbs steps": {"gibbs_steps": 5},
    "batch 250": {"batch_size": 250},
    "decay from 0.3": {"decay_start": 0.3},
    "momentum 0.5": {"momentum": 0.5, "learning_rate": 0.1},
    "centred Adam": {"optimizer": "adam", "learning_rate": 1e-3},
    "paper, 10 steps": rs.TrainingConfig.paper(gibbs_steps=10).model_dump(exclude={"engine", "precision", "n_hidden"}),
}
TRIAL_UPDATES = 60


def epochs_for(seconds: float, dataset: rs.Dataset, changes: dict[str, Any]) -> int:
    """Epochs that fit into the time, from a trial of 60 updates."""
    config = rs.TrainingConfig.recommended(**(changes | {"epochs": 5, "early_checkpoints": 0}))
    rs.train(dataset, config, progress=False, until_update=5)
    began = time.perf_counter()
    run = rs.train(dataset, config, progress=False, until_update=TRIAL_UPDATES)
    return max(2, int(seconds * TRIAL_UPDATES / (time.perf_counter() - began) / run.updates_per_epoch))


def measure(name: str, seconds: float, dataset: rs.Dataset, seed: int) -> dict[str, Any]:
    changes = RECIPES[name]
    epochs = epochs_for(seconds, dataset, changes)
    config = rs.TrainingConfig.recommended(**(changes | {"epochs": epochs, "seed": seed}))
    run = rs.train(dataset, config, progress=False)
    *earlier, model = run.models()
    bracket = rs.likelihood_bracket(model, dataset, models=earlier, n_chains=200, seed=seed)
    ais = rs.log_likelihood(model, dataset, method="ais", n_chains=500, n_betas=1000, seed=seed)
    record: dict[str, Any] = {"recipe": name, "epochs": epochs, "seconds": run.rows[-1]["seconds"]}
    for kind, one in (("bar", bracket.best), ("lower", bracket.lower), ("upper", bracket.upper), ("ais", ais)):
        record[kind] = {"value": one.value, "stderr": one.stderr}
    return record | {"converged": bracket.converged, "objections": list(bracket.objections)}


def shown(estimate: dict[str, float]) -> str:
    return str(rs.Estimate(estimate["value"], estimate["stderr"]))


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--minutes", type=float, default=4.0)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    chosen = options.parse_args()
    where = start(chosen.threads)
    dataset = rs.load_dataset("mnist")
    records = []
    for name in chosen.recipes:
        records.append(measure(name, 60.0 * chosen.minutes, dataset, chosen.seed))
        print(records[-1], flush=True)
    head = ["recipe", "epochs", "seconds", "BAR", "lower bound", "upper bound", "AIS", "converged"]
    rows = [
        [
            r["recipe"],
            r["epochs"],
            r["seconds"],
            *(shown(r[k]) for k in ("bar", "lower", "upper", "ais")),
            r["converged"],
        ]
        for r in records
    ]
    show("Test log-likelihood (nats)", head, rows)
    print(f"saved {save('recipes', chosen.out, where, {'minutes': chosen.minutes, 'recipes': records})}")


if __name__ == "__main__":
    main()
