"""Do the trajectory estimate, the bracket and the running estimate agree along a training?

``python -m benchmarks.trajectory RUN [--every 1] [--seeds 0 1]``, or ``--hidden 500 --epochs 50`` to train a run first

One run of tempering along all checkpoints gives ln Z of each (`rbmscape.likelihood.trajectory_log_partition`); each
checkpoint is then bracketed on its own, with its own annealing and its own tempered starts, so that the two share
nothing but the models.  They agree where their 95 % intervals overlap.  z is the difference between the trajectory
estimate and BAR in units of both errors; values of one trajectory are correlated with one another, those of different
seeds share nothing but the models.  Where the run was trained with ``online_likelihood``, what it wrote down is shown
beside them.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import rbmscape as rs
from benchmarks.harness import parser, save, show, start
from rbmscape.likelihood import trajectory_log_partition
from rbmscape.likelihood.estimate import log_likelihood
from rbmscape.stats import Estimate

COLUMNS = ("seed", "update", "epoch", "trajectory", "bracket", "BAR", "gap", "z", "converged", "agree", "online", "s")


def plain(estimate: Estimate) -> dict[str, float]:
    return {"value": estimate.value, "stderr": estimate.stderr}


def trained(hidden: int, epochs: int, where: Path) -> rs.Run:
    config = rs.TrainingConfig.recommended(n_hidden=hidden, epochs=epochs, online_likelihood=True)
    return rs.train(rs.load_dataset("mnist"), config, where, resume=True)


def online(run: rs.Run, update: int) -> dict[str, float] | None:
    """What the run wrote down at a checkpoint, if it did."""
    row = next(row for row in run.rows if row["update"] == update)
    if row.get("log_likelihood") is None:
        return None
    return {"value": row["log_likelihood"], "stderr": row["log_partition_stderr"]}


def compared(run: rs.Run, dataset: rs.Dataset, index: int, curve: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Both estimates of one checkpoint and whether they agree."""
    models = list(run.models(run.updates[: index + 1]))
    along = log_likelihood(models[-1], dataset, partition=curve.log_partitions[index])
    began, spent = time.perf_counter(), time.process_time()
    found = rs.likelihood_bracket(models[-1], dataset, models=models[:-1] or None, **options)
    low, high = along.interval()
    lowest, highest = found.interval()
    error = math.hypot(along.stderr, found.best.stderr)
    return {
        "update": run.updates[index],
        "epoch": run.updates[index] / run.updates_per_epoch,
        "trajectory": plain(along),
        "lower": plain(found.lower),
        "upper": plain(found.upper),
        "best": plain(found.best),
        "gap": found.gap,
        "z": (along.value - found.best.value) / error if error > 0.0 else 0.0,
        "trajectory_converged": curve.converged[index],
        "bracket_converged": found.converged,
        "objections": [*curve.objections[index], *found.objections],
        "agree": low <= highest and lowest <= high,
        "online": online(run, run.updates[index]),
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - spent,
    }


def as_row(found: dict[str, Any]) -> tuple[object, ...]:
    def text(one: dict[str, float] | None) -> str:
        return "" if one is None else str(Estimate(**one))

    verdict = "".join("yes " if found[key] else "no " for key in ("trajectory_converged", "bracket_converged"))
    bounds = f"{found['lower']['value']:.3f} to {found['upper']['value']:.3f}"
    return (
        found["seed"], found["update"], f"{found['epoch']:.2f}", text(found["trajectory"]), bounds, text(found["best"]),
        f"{found['gap']:.3f}", f"{found['z']:.1f}", verdict, "yes" if found["agree"] else "NO", text(found["online"]),
        f"{found['seconds']:.0f}",
    )  # fmt: skip


def main() -> None:
    options = parser(__doc__)
    options.add_argument("run", type=Path, nargs="?", help="directory of a run; without one it is trained")
    options.add_argument("--hidden", type=int, default=500)
    options.add_argument("--epochs", type=int, default=50)
    options.add_argument("--every", type=int, default=1, help="bracket every so many checkpoints, and the last")
    options.add_argument("--columns", type=int, default=100, help="columns of replicas of the trajectory estimate")
    options.add_argument("--chains", type=int, default=500, help="annealed chains of a bracket")
    options.add_argument("--budget", type=float, help="multiply-adds of the trajectory estimate")
    options.add_argument("--seeds", type=int, nargs="+", default=[0], help="one trajectory and its brackets for each")
    arguments = options.parse_args()
    where = start(arguments.threads)
    if arguments.run is None:
        run = trained(arguments.hidden, arguments.epochs, arguments.out / f"run-{arguments.hidden}")
    else:
        run = rs.Run.open(arguments.run)
    dataset = rs.load_dataset("mnist")
    models = list(run.models())
    name = f"trajectory-{models[-1].n_hidden}"
    content: dict[str, Any] = {
        "hidden": models[-1].n_hidden,
        "epochs": run.updates[-1] / run.updates_per_epoch,
        "chains": arguments.chains,
        "columns": arguments.columns,
        "trajectories": [],
        "checkpoints": [],
    }
    for seed in arguments.seeds:
        began, spent = time.perf_counter(), time.process_time()
        curve = trajectory_log_partition(models, arguments.columns, seed=seed, budget=arguments.budget)
        tempered = curve.tempered
        content["trajectories"].append(
            {
                "seed": seed,
                "seconds": time.perf_counter() - began,
                "cpu_seconds": time.process_time() - spent,
                "rungs": len(curve.positions),
                "rounds": tempered.n_rounds,
                "r_hat": tempered.r_hat,
                "ess": tempered.ess,
                "passages": float(tempered.passages.mean()),
                "verdict": tempered.verdict,
            }
        )
        print(f"trajectory {seed}: {tempered.verdict}, {time.perf_counter() - began:.0f} s", flush=True)
        for index in sorted(range(len(models) - 1, -1, -arguments.every)):
            chosen = {"n_chains": arguments.chains, "seed": 1000 * (seed + 1) + index}
            found = {"seed": seed, **compared(run, dataset, index, curve, chosen)}
            content["checkpoints"].append(found)
            print(as_row(found), flush=True)
            both = [one for one in content["checkpoints"] if one["trajectory_converged"] and one["bracket_converged"]]
            content |= {"both_converged": len(both), "of_them_agree": sum(one["agree"] for one in both)}
            save(name, arguments.out, where, content)
    show(f"M = {models[-1].n_hidden}", COLUMNS, [as_row(found) for found in content["checkpoints"]])
    summary = (len(content["checkpoints"]), content["both_converged"], content["of_them_agree"])
    show("agreement", ("comparisons", "both converged", "of them agree"), [summary])


if __name__ == "__main__":
    main()
