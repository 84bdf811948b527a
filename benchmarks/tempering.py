"""How often do chains change between digits, a second: plain Gibbs against tempering along the training?

``python -m benchmarks.tempering [--digits 0 1] [--run DIRECTORY]``

A model is trained on some of MNIST's digits (0 and 1 by default, where Gibbs chains are known to be slow; Béreux,
Decelle, Furtlehner and Seoane, arXiv:2405.15376) or read from a run.  A logistic regression on the training labels
names the digit of each state; states of which it is less than 90 % sure keep the last name, so that noise at a boundary
is no change.

What is compared, so that neither side is favoured:

- The same number of chains.  A chain of tempering is the top rung of a column; changes on other rungs do not count, but
  the time of all rungs does.
- Processor seconds, without those of naming the digits.
- The second half of each run.  Gibbs chains start from data, which is as good as equilibrium; tempering needs its first
  half to fill the ladder.  What it costs in all, with the choice of the ladder, is reported beside it.
- Several seeds of each sampler; errors are those of the mean over them.

A third sampler goes on from the end of tempering without the rungs below the one from which downwards Gibbs steps mix
on their own (`rbmscape.sampling.ladder.floor_rung`): once there is equilibrium they add nothing but time.  That is
what `rbmscape.equilibrium_samples` does where more samples are wanted than there are chains.

Exchanges to and fro between two rungs make changes that bring nothing new.  Therefore the rate of effective samples of
the class (of the slowest class) is reported beside the rate of changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

import rbmscape as rs
from benchmarks.harness import parser, save, show, start
from rbmscape.figures.style import colour, new_figure
from rbmscape.kernels.select import select_engine
from rbmscape.rng import Stream
from rbmscape.sampling import gibbs
from rbmscape.sampling.diagnostics import effective_sample_size
from rbmscape.sampling.ladder import TARGET_ACCEPTANCE, Ladder, floor_rung, shortest_ladder
from rbmscape.sampling.tempered import Tempered
from rbmscape.sampling.tempering import temper

SURE = 0.9
POINTS = 60
Naming = Callable[[Tensor], NDArray[np.int64]]


class Watch:
    """Names the states after every step, and takes the processor time between."""

    def __init__(self, name: Naming) -> None:
        self.name, self.names, self.seconds = name, [], []  # type: ignore[var-annotated]
        self.began = time.process_time()

    def see(self, _number: int, v: Tensor) -> None:
        """Name the chains' states."""
        self.seconds.append(time.process_time() - self.began)
        self.names.append(self.name(v))
        self.began = time.process_time()


@dataclass(frozen=True)
class Rates:
    """What a sampler did with one seed, in the second half of its run.

    Attributes
    ----------
    seconds, changes, ess : processor time, class changes of all chains, effective samples of the slowest class
    total_seconds : of the whole run, with everything that had to be prepared
    shares : of the time in each class
    curve : (seconds, changes) at some points of the second half
    """

    seconds: float
    changes: int
    ess: float
    total_seconds: float
    shares: dict[str, float]
    curve: list[tuple[float, int]]


def classifier(dataset: rs.Dataset) -> Naming:
    """States (n, N) to labels (n,), -1 where the classifier is not sure."""
    from sklearn.linear_model import LogisticRegression

    rows = Stream(0, "benchmark").numpy().permutation(len(dataset.train))[:6000]
    assert dataset.train_labels is not None
    fitted = LogisticRegression(max_iter=400, C=0.02).fit(dataset.train[rows], dataset.train_labels[rows])
    labels = np.asarray(fitted.classes_, dtype=np.int64)

    def name(v: Tensor) -> NDArray[np.int64]:
        probability = fitted.predict_proba(v.cpu().numpy())
        return np.where(probability.max(1) >= SURE, labels[probability.argmax(1)], -1)

    return name


def rates(watch: Watch, prepared: float) -> Rates:
    """Changes and effective samples of a history of names."""
    history = np.stack(watch.names, 1)
    for k in range(1, history.shape[1]):
        unsure = history[:, k] < 0
        history[unsure, k] = history[unsure, k - 1]
    half = history.shape[1] // 2
    late, seconds = history[:, half:], np.cumsum(watch.seconds[half:])
    known = (late[:, 1:] >= 0) & (late[:, :-1] >= 0)
    changes = np.cumsum((known & (late[:, 1:] != late[:, :-1])).sum(0))
    classes = [int(value) for value in np.unique(late) if value >= 0]
    sizes = effective_sample_size(np.stack([late == value for value in classes], -1).astype(np.float64))
    points = np.linspace(0, len(changes) - 1, min(POINTS, len(changes))).astype(int)
    return Rates(
        float(seconds[-1]),
        int(changes[-1]),
        float(np.nanmin(sizes)) if np.isfinite(sizes).any() else 0.0,
        float(sum(watch.seconds)) + prepared,
        {str(value): float((late == value).mean()) for value in classes},
        [(float(seconds[k + 1]), int(changes[k])) for k in points],
    )


def plain(rbm: rs.RBM, rows: Tensor, n_steps: int, name: Naming, seed: int) -> Rates:
    sampler = gibbs.make_sampler(rbm, len(rows), Stream(seed, "benchmark/gibbs"))
    chains, watch = gibbs.init(rows), Watch(name)
    for number in range(n_steps):
        chains, _info = gibbs.step(sampler, chains)
        watch.see(number, chains.v)
    return rates(watch, 0.0)


def tempered(
    ladder: Ladder, n_chains: int, n_rounds: int, name: Naming, seed: int, prepared: float
) -> tuple[Rates, Tempered]:
    watch = Watch(name)
    stream = Stream(seed, "benchmark/tempering")
    result = temper(ladder, n_chains, n_rounds, stream, select_engine().annealer(), watch=watch.see)
    return rates(watch, prepared), result


def summary(runs: list[Rates]) -> dict[str, Any]:
    """Means over the seeds with their errors."""

    def mean(values: list[float]) -> tuple[float, float]:
        error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
        return float(np.mean(values)), float(error)

    return {
        "changes_a_second": mean([run.changes / run.seconds for run in runs]),
        "effective_a_second": mean([run.ess / run.seconds for run in runs]),
        "changes": [run.changes for run in runs],
        "seconds": [run.seconds for run in runs],
        "total_seconds": [run.total_seconds for run in runs],
    }


def ratio(fast: tuple[float, float], slow: tuple[float, float]) -> tuple[float, float]:
    """Of two means, with the error to first order."""
    value = fast[0] / max(slow[0], 1e-300)
    return value, value * float(np.hypot(fast[1] / max(fast[0], 1e-300), slow[1] / max(slow[0], 1e-300)))


def picture(title: str, results: dict[str, list[Rates]]) -> Figure:
    """Class changes against seconds of computation, one curve a seed."""
    figure, axes = new_figure()
    panel = axes[0, 0]
    for index, (sampler, runs) in enumerate(results.items()):
        for number, run in enumerate(runs):
            seconds, changes = zip(*run.curve, strict=True)
            label = sampler if number == 0 else None
            panel.plot(seconds, changes, color=colour(index), label=label, linewidth=1.0)
    panel.set_xlabel("processor seconds, second half of each run")
    panel.set_ylabel("class changes of all chains")
    panel.set_yscale("symlog", linthresh=1.0)
    panel.set_title(title, fontsize="medium")
    panel.legend()
    return figure


def arguments_of() -> Any:
    options = parser(__doc__)
    options.add_argument("--digits", type=int, nargs="*", default=[0, 1])
    options.add_argument("--run", type=Path, help="a run to use; else a model is trained")
    options.add_argument("--hidden", type=int, default=500)
    options.add_argument("--epochs", type=int, default=60)
    options.add_argument("--chains", type=int, default=128)
    options.add_argument("--steps", type=int, default=4000, help="of the Gibbs chains")
    options.add_argument("--sweeps", type=int, default=512, help="rounds of tempering")
    options.add_argument("--seeds", type=int, default=4)
    options.add_argument("--first-seed", type=int, default=0, help="of the samplers and, without --run, the training")
    options.add_argument("--target", type=float, default=TARGET_ACCEPTANCE, help="acceptance of the exchanges")
    return options.parse_args()


def opened(arguments: Any, dataset: rs.Dataset) -> rs.Run:
    if arguments.run:
        return rs.Run.open(arguments.run)
    options = {"n_hidden": arguments.hidden, "epochs": arguments.epochs, "seed": arguments.first_seed}
    config = rs.TrainingConfig.recommended(**options)
    return rs.train(dataset, config, progress=False)


def report(title: str, results: dict[str, list[Rates]], means: dict[str, Any], ratios: dict[str, Any]) -> None:
    columns = ("sampler", "changes / s", "effective / s", "changes", "seconds", "shares")
    rows = [
        (
            sampler,
            *(f"{one[key][0]:.3g} ± {one[key][1]:.2g}" for key in ("changes_a_second", "effective_a_second")),
            str(one["changes"]),
            f"{np.mean(one['seconds']):.1f} of {np.mean(one['total_seconds']):.1f}",
            " ".join(f"{value:.2f}" for value in results[sampler][0].shares.values()),
        )
        for sampler, one in means.items()
    ]
    show(title, columns, rows)
    for sampler, found in ratios.items():
        both = [f"{value:.3g} ± {error:.2g}" for value, error in found.values()]
        show(f"{sampler} / Gibbs", ("changes a second", "effective a second"), [tuple(both)])


def main() -> None:
    arguments = arguments_of()
    where = start(arguments.threads)
    dataset = rs.load_dataset("mnist", digits=arguments.digits)
    run = opened(arguments, dataset)
    models = list(run.models())
    name = classifier(dataset)
    began = time.process_time()
    ladder = shortest_ladder(models, Stream(1, "benchmark"), select_engine().annealer(), arguments.target)
    prepared = time.process_time() - began
    results: dict[str, list[Rates]] = {"Gibbs from data": [], "trajectory tempering": [], "above its floor": []}
    facts: list[dict[str, Any]] = []
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        picks = Stream(seed, "benchmark/start").numpy().choice(len(dataset.train), arguments.chains, replace=False)
        rows = torch.from_numpy(dataset.train[picks])
        results["Gibbs from data"].append(plain(models[-1], rows, arguments.steps, name, seed))
        rate, result = tempered(ladder, arguments.chains, arguments.sweeps, name, seed, prepared)
        results["trajectory tempering"].append(rate)
        floor = floor_rung(ladder, result.states, Stream(seed, "benchmark/floor"), select_engine().annealer())
        upper = ladder.above(floor, result.states)
        spent = rate.total_seconds
        rate, last = tempered(upper, arguments.chains, arguments.sweeps, name, seed + 10**6, spent)
        results["above its floor"].append(rate)
        facts.append({"passages": float(result.passages.mean()), "floor": floor, "verdict": str(result.verdict)})
        facts[-1] |= {"r_hat": result.r_hat, "r_hat_above": last.r_hat}
        print(f"seed {seed}: {result.verdict}", flush=True)
    means = {sampler: summary(runs) for sampler, runs in results.items()}
    slow = means["Gibbs from data"]
    ratios = {
        sampler: {key: ratio(one[key], slow[key]) for key in ("changes_a_second", "effective_a_second")}
        for sampler, one in means.items()
        if one is not slow
    }
    which = "all digits" if len(arguments.digits) == 10 else f"digits {' '.join(map(str, arguments.digits))}"
    title = f"{which}, M = {models[-1].n_hidden}, {len(ladder.models)} rungs"
    report(title, results, means, ratios)
    name_of_file = "tempering-" + "".join(str(digit) for digit in arguments.digits)
    settings = {
        key: getattr(arguments, key) for key in ("digits", "chains", "steps", "sweeps", "seeds", "first_seed", "target")
    }
    content = {"settings": settings, "hidden": models[-1].n_hidden, "epochs": run.updates[-1] / run.updates_per_epoch}
    content |= {"rungs": len(ladder.models), "means": means, "ratios": ratios, "facts": facts}
    content |= {"runs": {sampler: [asdict(one) for one in runs] for sampler, runs in results.items()}}
    save(name_of_file, arguments.out, where, content)
    picture(title, results).savefig(arguments.out / f"{name_of_file}.png", dpi=150)


if __name__ == "__main__":
    main()
