"""Which recipe gives the best test log-likelihood for its time?  The measurement behind `TrainingConfig.recommended`.

``python -m benchmarks.recipes --minutes 4 --recipes recommended paper``

Every recipe trains M = 500 on binarised MNIST; a short trial chooses its epochs so that training takes the given
time on this machine.  Log-likelihood of the 10 000 test images by AIS, 500 chains, at least 1000 temperatures; an
upper bound in expectation, so the best ones should be bracketed with `rbmscape evaluate` as well.
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


def measure(name: str, seconds: float, dataset: rs.Dataset, n_betas: int, seed: int) -> dict[str, Any]:
    changes = RECIPES[name]
    epochs = epochs_for(seconds, dataset, changes)
    config = rs.TrainingConfig.recommended(**(changes | {"epochs": epochs, "seed": seed}))
    run = rs.train(dataset, config, progress=False)
    found = rs.log_likelihood(run.load(), dataset, method="ais", n_chains=500, n_betas=n_betas, seed=seed)
    seconds_taken = run.rows[-1]["seconds"]
    return {"recipe": name, "epochs": epochs, "seconds": seconds_taken, "value": found.value, "stderr": found.stderr}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--minutes", type=float, default=4.0)
    options.add_argument("--betas", type=int, default=2000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    chosen = options.parse_args()
    where = start(chosen.threads)
    dataset = rs.load_dataset("mnist")
    records = []
    for name in chosen.recipes:
        records.append(measure(name, 60.0 * chosen.minutes, dataset, chosen.betas, chosen.seed))
        print(records[-1], flush=True)
    rows = [[r["recipe"], r["epochs"], r["seconds"], str(rs.Estimate(r["value"], r["stderr"]))] for r in records]
    show("Test log-likelihood (nats)", ["recipe", "epochs", "seconds", "AIS"], rows)
    print(f"saved {save('recipes', chosen.out, where, {'n_betas': chosen.betas, 'recipes': records})}")


if __name__ == "__main__":
    main()
