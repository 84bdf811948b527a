"""How often do chains change between digits, a second: plain Gibbs against tempering along the training?

``python -m benchmarks.tempering [--digits 0 1] [--run DIRECTORY]``

A model is trained on some of MNIST's digits (0 and 1 by default, where Gibbs chains are known to be slow; Béreux,
Decelle, Furtlehner and Seoane, arXiv:2405.15376) or read from a run.  A logistic regression on the training labels
names the digit of each state; states of which it is less than 90 % sure keep the last name, so that noise at a boundary
is no change.  Both samplers are watched after every step or round, and only their own time counts.  Beside the rate of
changes the rate of effective samples of the class is reported, which exchanges to and fro do not raise.
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
from rbmscape.kernels.annealing import annealer_for
from rbmscape.kernels.select import select_engine
from rbmscape.rng import Stream
from rbmscape.sampling import gibbs
from rbmscape.sampling.diagnostics import effective_sample_size
from rbmscape.sampling.ladder import shortest_ladder
from rbmscape.sampling.tempering import temper

SURE = 0.9
Naming = Callable[[Tensor], NDArray[np.int64]]


@dataclass(frozen=True)
class Rates:
    """What a sampler did."""

    sampler: str
    chains: int
    observations: int
    seconds: float
    changes: int
    ess: float
    shares: dict[str, float]
    curve: list[int]

    @property
    def changes_a_second(self) -> float:
        """Class changes of all chains in a second of computation."""
        return self.changes / self.seconds

    @property
    def ess_a_second(self) -> float:
        """Effective samples of the slowest class in a second of computation."""
        return self.ess / self.seconds


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


def rates(sampler: str, names: list[NDArray[np.int64]], seconds: float) -> Rates:
    """Changes and effective samples of a history of names."""
    history = np.stack(names, 1)
    for k in range(1, history.shape[1]):
        unsure = history[:, k] < 0
        history[unsure, k] = history[unsure, k - 1]
    known = (history[:, 1:] >= 0) & (history[:, :-1] >= 0)
    curve = np.cumsum((known & (history[:, 1:] != history[:, :-1])).sum(0)).tolist()
    late = history[:, history.shape[1] // 4 :]
    classes = [int(value) for value in np.unique(late) if value >= 0]
    sizes = effective_sample_size(np.stack([late == value for value in classes], -1).astype(np.float64))
    ess = float(np.nanmin(sizes)) if np.isfinite(sizes).any() else 0.0
    shares = {str(value): float((late == value).mean()) for value in classes}
    return Rates(sampler, len(history), history.shape[1], seconds, curve[-1], ess, shares, curve)


def plain(rbm: rs.RBM, rows: Tensor, n_steps: int, name: Naming) -> Rates:
    sampler = gibbs.make_sampler(rbm, len(rows), Stream(1, "benchmark/gibbs"))
    chains, names, seconds = gibbs.init(rows), [name(rows)], 0.0
    for _ in range(n_steps):
        began = time.perf_counter()
        chains, _info = gibbs.step(sampler, chains)
        seconds += time.perf_counter() - began
        names.append(name(chains.v))
    return rates("Gibbs from data", names, seconds)


def tempered(models: list[rs.RBM], n_chains: int, n_rounds: int, name: Naming) -> tuple[Rates, dict[str, Any]]:
    annealer = annealer_for(select_engine())
    stream = Stream(1, "benchmark/tempering")
    ladder = shortest_ladder(models, stream, annealer)
    names: list[NDArray[np.int64]] = []
    watching = 0.0

    def watch(_number: int, v: Tensor) -> None:
        nonlocal watching
        began = time.perf_counter()
        names.append(name(v))
        watching += time.perf_counter() - began

    began = time.perf_counter()
    result = temper(ladder, n_chains, n_rounds, stream, annealer, watch=watch)
    seconds = time.perf_counter() - began - watching
    facts = {
        "rungs": len(ladder.models),
        "acceptance": [float(result.acceptance.min()), float(result.acceptance.mean())],
        "passages a chain": float(result.passages.mean()),
        "r_hat": result.r_hat,
        "objections": list(result.objections),
    }
    return rates("trajectory tempering", names, seconds), facts


def picture(title: str, results: tuple[Rates, ...]) -> Figure:
    """Class changes against seconds of computation, all chains together."""
    figure, axes = new_figure()
    for index, result in enumerate(results):
        seconds = np.linspace(0.0, result.seconds, len(result.curve))
        axes[0, 0].plot(seconds, result.curve, color=colour(index), label=result.sampler)
    axes[0, 0].set_xlabel("computation (s)")
    axes[0, 0].set_ylabel(f"class changes of {results[0].chains} chains")
    axes[0, 0].set_title(title)
    axes[0, 0].legend()
    return figure


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--digits", type=int, nargs="*", default=[0, 1])
    options.add_argument("--run", type=Path, help="a run to use; else a model is trained")
    options.add_argument("--hidden", type=int, default=100)
    options.add_argument("--epochs", type=int, default=60)
    options.add_argument("--chains", type=int, default=200)
    options.add_argument("--steps", type=int, default=3000, help="of the Gibbs chains")
    options.add_argument("--sweeps", type=int, default=400, help="rounds of tempering")
    arguments = options.parse_args()
    where = start(arguments.threads)
    dataset = rs.load_dataset("mnist", digits=arguments.digits)
    if arguments.run:
        run = rs.Run.open(arguments.run)
    else:
        config = rs.TrainingConfig.recommended(n_hidden=arguments.hidden, epochs=arguments.epochs)
        run = rs.train(dataset, config, progress=False)
    models = list(run.models())
    name = classifier(dataset)
    picks = Stream(2, "benchmark").numpy().choice(len(dataset.train), arguments.chains, replace=False)
    slow = plain(models[-1], torch.from_numpy(dataset.train[picks]), arguments.steps, name)
    fast, facts = tempered(models, arguments.chains, arguments.sweeps, name)
    columns = ("sampler", "changes", "seconds", "changes / s", "effective / s", "shares")
    rows = [
        (
            r.sampler,
            r.changes,
            r.seconds,
            r.changes_a_second,
            r.ess_a_second,
            str({k: round(v, 2) for k, v in r.shares.items()}),
        )
        for r in (slow, fast)
    ]
    show(f"digits {arguments.digits}, M = {models[-1].n_hidden}", columns, rows)
    ratio = fast.changes_a_second / max(slow.changes_a_second, 1e-300)
    show("tempering / Gibbs", ("changes a second", *facts), [(ratio, *(str(value) for value in facts.values()))])
    title = f"digits {arguments.digits}, M = {models[-1].n_hidden}"
    name_of_file = "tempering-" + "".join(str(digit) for digit in arguments.digits)
    save(name_of_file, arguments.out, where, {"gibbs": asdict(slow), "tempering": asdict(fast), "ratio": ratio} | facts)
    picture(title, (slow, fast)).savefig(arguments.out / f"{name_of_file}.png", dpi=150)


if __name__ == "__main__":
    main()
