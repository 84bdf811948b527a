"""The bracket of finished runs, as the README shows it, and where its time goes.

``python -m benchmarks.brackets RUN [RUN …]``

Prints a Markdown table: size, epochs, both bounds, BAR, gap, seconds, verdict.  Seconds are wall time and hold for the
machine and load that the JSON file names; processor seconds are beside them.  Wanted: for M = 500 a gap of at most 1
nat in three minutes, for M = 3000 at most 2 nats in ten, on two quiet cores.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import rbmscape as rs
from benchmarks.harness import parser, save, start

HEAD = "| M | epochs | lower bound | upper bound | BAR | gap | seconds | verdict |\n|---|---|---|---|---|---|---|---|"


def bracketed(run: rs.Run, dataset: rs.Dataset, seed: int, options: dict[str, Any]) -> dict[str, Any]:
    models = list(run.models())
    began, spent = time.perf_counter(), time.process_time()
    found = rs.likelihood_bracket(models[-1], dataset, models=models[:-1], seed=seed, **options)
    return {
        "run": run.directory.name,
        "hidden": models[-1].n_hidden,
        "epochs": run.updates[-1] / run.updates_per_epoch,
        "config": run.config.model_dump(mode="json"),
        **{
            name: {"value": one.value, "stderr": one.stderr, "ess": one.ess}
            for name, one in (("lower", found.lower), ("upper", found.upper), ("best", found.best))
        },
        "gap": found.gap,
        "n_betas": found.n_betas,
        "history": [[n, low.value, high.value] for n, low, high in found.history],
        "converged": found.converged,
        "reasons": list(found.reasons),
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - spent,
    }


def as_markdown(one: dict[str, Any]) -> str:
    low, high, best = (f"{one[name]['value']:.2f} ± {one[name]['stderr']:.2f}" for name in ("lower", "upper", "best"))
    verdict = "converged" if one["converged"] else "not converged"
    return (
        f"| {one['hidden']} | {one['epochs']:g} | {low} | {high} | {best} | {one['gap']:.2f} "
        f"| {one['seconds']:.0f} | {verdict} |"
    )


def main() -> None:
    options = parser(__doc__)
    options.add_argument("runs", type=Path, nargs="+", help="directories of runs trained on MNIST")
    options.add_argument("--chains", type=int, default=500)
    options.add_argument("--max-betas", type=int, default=16000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--name", default="brackets", help="of the JSON file")
    arguments = options.parse_args()
    where = start(arguments.threads)
    dataset = rs.load_dataset("mnist")
    found: list[dict[str, Any]] = []
    settings = {"n_chains": arguments.chains, "max_betas": arguments.max_betas}
    for directory in arguments.runs:
        one = bracketed(rs.Run.open(directory), dataset, arguments.seed, settings)
        found.append(one)
        save(arguments.name, arguments.out, where, {"brackets": found})
        print(f"{directory}: {'; '.join(one['reasons'])}", flush=True)
    print("\n".join([HEAD, *(as_markdown(one) for one in sorted(found, key=lambda one: one["hidden"]))]))


if __name__ == "__main__":
    main()
