"""Does sampling in bf16 cost quality?  The same recipe and seeds with bf16 and with float32 sampling.

``python -m benchmarks.precision --epochs 20 --seeds 0 1 2``

Test log-likelihood by AIS in float32 for both, so that only the training differs.  Expected before measuring: weights
and pre-activations rounded to 8 bits move probabilities by about 1e-3 at random, far less than the sampling noise of
500 chains; the difference should be within the scatter between seeds, and below 0.5 nats.
"""

from __future__ import annotations

import statistics

import rbmscape as rs
from benchmarks.harness import parser, save, show, start


def likelihood(precision: str, seed: int, dataset: rs.Dataset, epochs: int, n_betas: int) -> rs.Estimate:
    config = rs.TrainingConfig.recommended(epochs=epochs, seed=seed, precision=precision)
    model = rs.train(dataset, config, progress=False).load()
    return rs.log_likelihood(model, dataset.test, method="ais", n_chains=500, n_betas=n_betas, seed=seed)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--epochs", type=int, default=20)
    options.add_argument("--betas", type=int, default=2000)
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    chosen = options.parse_args()
    where = start(chosen.threads)
    dataset = rs.load_dataset("mnist")
    rows, records = [], []
    for seed in chosen.seeds:
        found = {p: likelihood(p, seed, dataset, chosen.epochs, chosen.betas) for p in ("bf16", "fp32")}
        difference = found["bf16"].value - found["fp32"].value
        rows.append([seed, str(found["bf16"]), str(found["fp32"]), difference])
        records.append({"seed": seed, "bf16": found["bf16"].value, "fp32": found["fp32"].value})
    differences = [row[-1] for row in rows]
    spread = statistics.stdev(differences) if len(differences) > 1 else float("nan")
    mean = statistics.mean(differences)
    show(
        f"Test log-likelihood after {chosen.epochs} epochs; bf16 - fp32 = {mean:+.2f} nats, scatter {spread:.2f}",
        ["seed", "bf16", "fp32", "difference"],
        rows,
    )
    content = {"epochs": chosen.epochs, "n_betas": chosen.betas, "runs": records, "mean_difference": mean}
    print(f"saved {save('precision', chosen.out, where, content)}")


if __name__ == "__main__":
    main()
