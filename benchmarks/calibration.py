"""Are the error bars right?  BAR, the bracket and the trajectory on models whose log-likelihood can be enumerated.

``python -m benchmarks.calibration``

At least 40 models: normal random parameters, spin glasses without fields (many modes), ferromagnets with two far modes
of unequal weight, models trained on bars-and-stripes, and models trained on MNIST with 12 to 20 hidden units.  Reported
are the fraction of the 95 % intervals of BAR and of the bracket that hold the exact value (wanted: at least 0.90), and
the misses by more than 4 standard errors that were called converged (wanted: none).  As negative controls the models
with two modes are bracketed with 4 and 8 temperatures, and must all be called not converged.

The trajectory estimate is judged alike, at every checkpoint of the trained models.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

import rbmscape as rs
from benchmarks.harness import parser, save, show, start
from rbmscape.likelihood import trajectory_log_partition
from rbmscape.model.exact import exact_log_likelihood, exact_log_partition, exact_samples
from rbmscape.rng import Stream


@dataclass(frozen=True)
class Case:
    """A model, the data to score, and earlier models of its training if it was trained."""

    family: str
    rbm: rs.RBM
    data: torch.Tensor
    models: list[rs.RBM] | None = None


@dataclass(frozen=True)
class Outcome:
    """What the bracket said about a model, and the truth."""

    family: str
    exact: float
    best: float
    stderr: float
    gap: float
    best_hit: bool
    bracket_hit: bool
    converged: bool
    objections: str
    seconds: float

    @property
    def z(self) -> float:
        """Deviation of BAR from the exact value in standard errors."""
        return (self.best - self.exact) / self.stderr


def _sampled(family: str, rbm: rs.RBM, seed: int) -> Case:
    return Case(family, rbm, exact_samples(rbm, 300, seed=seed)[0].to(torch.uint8))


def random_models(n: int) -> Iterator[Case]:
    for seed in range(n):
        generator = Stream(seed, "calibration/random").numpy()
        shapes = ((60, 14), 60, 14)
        weights, a, b = (generator.normal(size=shape).astype(np.float32) for shape in shapes)
        yield _sampled("random", rs.RBM(0.3 * (seed + 1) * weights, a, b), seed)


def glasses(n: int) -> Iterator[Case]:
    for seed in range(n):
        weights = Stream(seed, "calibration/glass").numpy().normal(scale=0.3 * (seed + 1), size=(60, 12))
        yield _sampled("glass", rs.RBM(weights, -weights.sum(1) / 2, -weights.sum(0) / 2), seed)


def ferromagnet(barrier: float, tilt: float) -> rs.RBM:
    weights = np.full((30, 8), barrier)
    return rs.RBM(weights, -weights.sum(1) / 2 + tilt / 30, -weights.sum(0) / 2)


def ferromagnets(n: int) -> Iterator[Case]:
    for seed in range(n):
        yield _sampled("ferromagnet", ferromagnet(0.2 * (seed + 1), 0.5 * seed), seed)


def trained(
    family: str, dataset: rs.Dataset, hidden: list[int], epochs: int, seed: int = 0, **options: Any
) -> Iterator[Case]:
    """Models of some sizes, trained with seeds from the given one on."""
    for number, n_hidden in enumerate(hidden, start=seed):
        settings = {"batch_size": 50, "n_chains": 100} | options
        run = rs.train(
            dataset, rs.TrainingConfig(n_hidden=n_hidden, epochs=epochs, seed=number, **settings), progress=False
        )
        models = list(run.models())
        data = torch.from_numpy(dataset.test if len(dataset.test) else dataset.train)
        yield Case(family, models[-1], data, models)


def cases(n: int) -> Iterator[Case]:
    """About 5 n models."""
    yield from random_models(n)
    yield from glasses(n)
    yield from ferromagnets(n)
    stripes = rs.load_dataset("bars-and-stripes", image_shape=(4, 4))
    yield from trained("bars-and-stripes", stripes, [6 + k for k in range(n)], 400)
    mnist = rs.load_dataset("mnist", n_train=3000, n_test=500)
    yield from trained("mnist", mnist, [12 + 8 * k // max(1, n - 1) for k in range(n)], 6)


def judge(case: Case, seed: int, **options: Any) -> Outcome:
    began = time.perf_counter()
    found = rs.likelihood_bracket(case.rbm, case.data, models=case.models, seed=seed, **options)
    seconds = time.perf_counter() - began
    exact = float(exact_log_likelihood(case.rbm, case.data).mean())
    low, high = found.best.interval()
    lowest, highest = found.interval()
    return Outcome(
        case.family, exact, found.best.value, found.best.stderr, found.gap, low <= exact <= high,
        lowest <= exact <= highest, found.converged, "; ".join(found.objections), seconds,
    )  # fmt: skip


@dataclass(frozen=True)
class Along:
    """What the trajectory estimate said about ln Z of one checkpoint, and the truth."""

    family: str
    case: int
    checkpoint: int
    exact: float
    value: float
    stderr: float
    hit: bool
    converged: bool

    @property
    def z(self) -> float:
        """Deviation in standard errors."""
        return (self.value - self.exact) / self.stderr


def along(case: Case, seed: int) -> list[Along]:
    """All checkpoints of a trained case; none of another."""
    if case.models is None:
        return []
    curve = trajectory_log_partition(case.models, seed=seed)
    judged = []
    for k, (rbm, found, converged) in enumerate(zip(case.models, curve.log_partitions, curve.converged, strict=True)):
        exact = exact_log_partition(rbm)
        low, high = found.interval()
        judged.append(Along(case.family, seed, k, exact, found.value, found.stderr, low <= exact <= high, converged))
    return judged


def along_summary(found: list[Along]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for family in [*dict.fromkeys(one.family for one in found), "all"]:
        chosen = [one for one in found if family in (one.family, "all")]
        sure = [one for one in chosen if one.converged]
        rows.append(
            (
                family,
                len({one.case for one in chosen}),
                len(chosen),
                float(np.mean([one.hit for one in chosen])),
                len(sure),
                float(np.mean([one.hit for one in sure])) if sure else float("nan"),
                max((abs(one.z) for one in sure), default=float("nan")),
            )
        )
    return rows


def negative_controls(n: int) -> list[Outcome]:
    """Too few temperatures between two far modes."""
    found = []
    for seed in range(n):
        case = _sampled("too few temperatures", ferromagnet(1.2 + 0.2 * seed, 1.0), seed)
        found.append(judge(case, seed, n_chains=200, n_betas=4, max_betas=8))
    return found


def summary(outcomes: list[Outcome]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for family in [*dict.fromkeys(outcome.family for outcome in outcomes), "all"]:
        chosen = [outcome for outcome in outcomes if family in (outcome.family, "all")]
        sure = [outcome for outcome in chosen if outcome.converged]
        rows.append(
            (
                family,
                len(chosen),
                float(np.mean([outcome.best_hit for outcome in chosen])),
                float(np.mean([outcome.bracket_hit for outcome in chosen])),
                len(sure),
                sum(abs(outcome.z) > 4.0 for outcome in sure),
                max((abs(outcome.z) for outcome in sure), default=float("nan")),
            )
        )
    return rows


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--models", type=int, default=9, help="models of each of the five families")
    options.add_argument("--chains", type=int, default=200)
    arguments = options.parse_args()
    where = start(arguments.threads)
    settings = {"n_chains": arguments.chains, "n_betas": 100, "max_betas": 3200}
    chosen = list(cases(arguments.models))
    outcomes = [judge(case, seed, **settings) for seed, case in enumerate(chosen)]
    columns = ("family", "models", "BAR hits", "bracket hits", "converged", "converged, z > 4", "largest |z|")
    rows = summary(outcomes)
    show("calibration of 95 % intervals", columns, rows)
    curves = [one for seed, case in enumerate(chosen) for one in along(case, seed)]
    titles = ("family", "runs", "checkpoints", "hits", "converged", "hits of these", "largest |z| of these")
    lines = along_summary(curves)
    show("calibration of the trajectory", titles, lines)
    controls = negative_controls(arguments.models)
    refused = sum(not outcome.converged for outcome in controls)
    show("negative controls", ("models", "called not converged"), [(len(controls), refused)])
    content = {
        "settings": settings,
        "summary": [dict(zip(columns, row, strict=True)) for row in rows],
        "trajectory_summary": [dict(zip(titles, row, strict=True)) for row in lines],
        "outcomes": [asdict(one) for one in outcomes],
        "trajectories": [asdict(one) for one in curves],
        "negative_controls": [asdict(one) for one in controls],
    }
    save("calibration", arguments.out, where, content)


if __name__ == "__main__":
    main()
