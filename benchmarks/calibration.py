"""Are the error bars right?  BAR and the bracket on models whose log-likelihood can be enumerated.

``python -m benchmarks.calibration``

At least 40 models: normal random parameters, spin glasses without fields (many modes), ferromagnets with two far modes
of unequal weight, models trained on bars-and-stripes, and models trained on MNIST with 12 to 20 hidden units.  Reported
are the fraction of the 95 % intervals of BAR and of the bracket that hold the exact value (wanted: at least 0.90), and
the misses by more than 4 standard errors that were called converged (wanted: none).  As negative controls the models
with two modes are bracketed with 4 and 8 temperatures, and must all be called not converged.
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
from rbmscape.model.exact import exact_log_likelihood, exact_samples
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


def trained(family: str, dataset: rs.Dataset, hidden: list[int], epochs: int) -> Iterator[Case]:
    for seed, n_hidden in enumerate(hidden):
        config = rs.TrainingConfig(n_hidden=n_hidden, epochs=epochs, batch_size=50, n_chains=100, seed=seed)
        run = rs.train(dataset, config, progress=False)
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
    outcomes = [judge(case, seed, **settings) for seed, case in enumerate(cases(arguments.models))]
    columns = ("family", "models", "BAR hits", "bracket hits", "converged", "converged, z > 4", "largest |z|")
    rows = summary(outcomes)
    show("calibration of 95 % intervals", columns, rows)
    controls = negative_controls(arguments.models)
    refused = sum(not outcome.converged for outcome in controls)
    show("negative controls", ("models", "called not converged"), [(len(controls), refused)])
    content = {"settings": settings, "summary": [dict(zip(columns, row, strict=True)) for row in rows]}
    everything = {"outcomes": [asdict(o) for o in outcomes], "negative_controls": [asdict(o) for o in controls]}
    save("calibration", arguments.out, where, content | everything)


if __name__ == "__main__":
    main()
