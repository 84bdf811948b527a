"""Does sampling with rounded weights cost quality?  The same recipe and seeds with each precision and with float32.

``python -m benchmarks.precision --epochs 10 --seeds 0 1``

Test log-likelihood by BAR inside the bracket of both annealing directions, with the same annealer for all, so that only
the training differs.  Expected before measuring: bf16 rounds weights and pre-activations to 8 bits and moves
probabilities by about 1e-3 at random; fixed rounds weights to 16 bits of one scale and sums exactly, which moves
pre-activations by about 0.01.  Both are far less than the sampling noise of 500 chains; the differences should be
within the scatter between seeds, and below 0.5 nats.
"""

from __future__ import annotations

import statistics

import rbmscape as rs
from benchmarks.harness import parser, save, show, start
from rbmscape.kernels.select import has_fast_bf16, has_table_lookup


def likelihood(precision: str, seed: int, dataset: rs.Dataset, epochs: int) -> rs.Estimate:
    config = rs.TrainingConfig.recommended(epochs=epochs, seed=seed, precision=precision)
    *earlier, model = rs.train(dataset, config, progress=False).models()
    return rs.likelihood_bracket(model, dataset, models=earlier, n_chains=200, seed=seed).best


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--epochs", type=int, default=10)
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    chosen = options.parse_args()
    where = start(chosen.threads)
    dataset = rs.load_dataset("mnist")
    rounded = ["fixed"] * has_table_lookup() + ["bf16"] * has_fast_bf16()
    rows, records = [], []
    for seed in chosen.seeds:
        found = {p: likelihood(p, seed, dataset, chosen.epochs) for p in (*rounded, "fp32")}
        differences = {p: found[p].value - found["fp32"].value for p in rounded}
        rows.append([seed, str(found["fp32"]), *(f"{found[p]} ({differences[p]:+.2f})" for p in rounded)])
        values = {p: {"value": one.value, "stderr": one.stderr} for p, one in found.items()}
        records.append({"seed": seed, "likelihood": values, "difference": differences})
        print(records[-1], flush=True)
    means = {p: statistics.mean(record["difference"][p] for record in records) for p in rounded}
    show(f"Test log-likelihood after {chosen.epochs} epochs (less fp32)", ["seed", "fp32", *rounded], rows)
    content = {"epochs": chosen.epochs, "runs": records, "mean_difference": means}
    print(f"saved {save('precision', chosen.out, where, content)}")


if __name__ == "__main__":
    main()
