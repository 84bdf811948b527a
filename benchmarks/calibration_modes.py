"""Can a converged bracket be wrong?  Models with far modes, needles, copies and odd shapes, all summed exactly.

``python -m benchmarks.calibration_modes --state FILE`` (twenty minutes of one core; FILE keeps what is done, so that a
run that was cut off goes on; ``--part 0/2`` and ``--part 1/2`` share the work)

Two hundred models and more, by families:

- ``straight``, ``biased``: ferromagnets with two far modes and a path of models to them, of which earlier ones give the
  second mode its final weight, or another one (0.02 to 0.4); all data from the first mode; final weights 0.01 to 0.99
- ``both modes``, ``no path``: the same with data from both modes, and without earlier models
- ``needle in data``, ``needle in weights``, ``hidden needle``: a pattern of weight 0.03 to 0.2 that half of the hidden
  units detect together, in a broad background; 5 % of the data are in it; no data are; no data are, and stronger random
  units hide it among the leading modes
- ``copies``: random models in which units of both layers occur two to four times
- ``hopfield``: hidden units that are patterns of their own, up to the strength where each is a mode
- ``wide``, ``tall``: N much larger than M, and M much larger than N
- ``clusters``: trained on three clusters of unequal size, too fast as well
- ``bar``: `log_partition` with method "bar" alone on two modes of weights 0.99 and 0.01, scored as ln Z

A case counts as *hit* if the 95 % interval holds the exact value.  Wanted: 93 % hits among the converged ones, and none
of them off by more than 4 errors, except for hidden needles, which nothing can show.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import rbmscape as rs
from benchmarks.calibration import Case, ferromagnet, trained
from benchmarks.harness import parser, save, show, start
from rbmscape.likelihood import trajectory_log_partition
from rbmscape.model.exact import exact_log_likelihood, exact_log_partition, exact_samples
from rbmscape.rng import Stream

BUDGET = 6e10  # multiply-adds of tempering, about 400 rounds
OPTIONS = {"n_chains": 100, "n_betas": 50, "max_betas": 400, "budget": BUDGET}
WEIGHTS = (0.01, 0.1, 0.5, 0.9, 0.99)
SHAPES = ((40, 10), (80, 10), (150, 10), (300, 8))
PATH = (0.01, 0.1, 0.25, 0.5, 1.0)


def two_modes(shape: tuple[int, int], strength: float, weight: float) -> rs.RBM:
    """All units on with nearly this weight, all off with the rest."""
    n_visible = shape[0]
    weights = np.full(shape, strength)
    tilt = np.log(weight / (1.0 - weight))
    return rs.RBM(weights, -weights.sum(1) / 2 + tilt / n_visible, -weights.sum(0) / 2)


def modes_case(family: str, seed: int) -> Case:
    generator = Stream(seed, f"calibration/{family}").numpy()
    shape, weight = SHAPES[seed % len(SHAPES)], WEIGHTS[seed % len(WEIGHTS)]
    strength = (1.2 + 0.6 * generator.random()) * 40.0 / shape[0] * (10 / shape[1]) ** 0.5
    middle = weight if family != "biased" else float(generator.choice([0.02, 0.1, 0.4]))
    models = [two_modes(shape, s * strength, weight if s == 1.0 else middle) for s in PATH]
    states = exact_samples(models[-1], 600, seed=seed)[0].to(torch.uint8)
    off = states[states.to(torch.float32).mean(1) < 0.5]
    if len(off) < 200:  # the light mode is the mirror image of the heavy one
        off = 1 - states[states.to(torch.float32).mean(1) > 0.5]
    data = states[:200] if family in ("both modes", "no path") else off[:200]
    return Case(family, models[-1], data, None if family == "no path" else models)


def needle_case(family: str, seed: int) -> Case:
    """The needle's bias is set so that its weight is exactly the wanted one."""
    generator = Stream(seed, f"calibration/{family}").numpy()
    n_visible, n_hidden, detectors = 30, 12, 6
    wanted = (0.03, 0.06, 0.1, 0.2)[seed % 4]
    pattern = (generator.random(n_visible) < 0.5).astype(np.float64)
    weights = generator.normal(scale=0.2, size=(n_visible, n_hidden))
    bias = generator.normal(scale=0.3, size=n_hidden)
    if family == "hidden needle":
        weights[:, detectors:] = generator.normal(scale=8.0, size=(n_visible, n_hidden - detectors)) * (
            generator.random((n_visible, n_hidden - detectors)) < 0.3
        )
        bias[detectors:] = -weights[:, detectors:].sum(0) / 2
    strength = 3.0
    weights[:, :detectors] = strength * (2.0 * pattern - 1.0)[:, None]
    low, high = -3.0 * strength * n_visible, 0.0
    for _ in range(60):  # the larger the threshold, the lighter the needle
        threshold = (low + high) / 2.0
        bias[:detectors] = threshold
        rbm = rs.RBM(weights, np.zeros(n_visible), bias)
        weight = np.exp(-float(rbm.free_energy(torch.from_numpy(pattern)[None])[0]) - exact_log_partition(rbm))
        low, high = (low, threshold) if weight > wanted else (threshold, high)
    states = exact_samples(rbm, 400, seed=seed)[0].to(torch.uint8)
    inside = (states == torch.from_numpy(pattern).to(torch.uint8)).all(1)
    data = states[~inside][:200]
    if family == "needle in data":
        data = torch.cat((data[:190], torch.from_numpy(pattern).to(torch.uint8).expand(10, -1)))
    path = [rs.RBM(s * rbm.weights, s * rbm.visible_bias, s * rbm.hidden_bias) for s in PATH]
    return Case(family, rbm, data, path if seed % 2 else None)


def plain_case(family: str, seed: int) -> Case:
    generator = Stream(seed, f"calibration/{family}").numpy()
    if family == "copies":
        base = generator.normal(scale=0.6, size=(12, 4))
        visible, hidden = generator.integers(2, 5, 12), generator.integers(2, 4, 4)
        weights = np.repeat(np.repeat(base, visible, 0), hidden, 1) / 2.0
        rbm = rs.RBM(weights, -weights.sum(1) / 2, -weights.sum(0) / 2)
    elif family == "hopfield":
        n_visible, n_hidden = 60, int(generator.integers(3, 9))
        patterns = generator.choice([-1.0, 1.0], size=(n_visible, n_hidden))
        weights = (0.1 + 0.05 * (seed % 8)) * patterns
        rbm = rs.RBM(weights, -weights.sum(1) / 2, -weights.sum(0) / 2)
    else:
        shape = (300, 6) if family == "wide" else (10, 100)
        weights = generator.normal(scale=(0.1 + 0.1 * (seed % 6)), size=shape)
        rbm = rs.RBM(weights, generator.normal(size=shape[0]) - weights.sum(1) / 2, -weights.sum(0) / 2)
    data = exact_samples(rbm, 200, seed=seed)[0].to(torch.uint8)
    path = [rs.RBM(s * rbm.weights, s * rbm.visible_bias, s * rbm.hidden_bias) for s in PATH]
    return Case(family, rbm, data, path if seed % 2 else None)


def cluster_case(family: str, seed: int) -> Case:
    generator = Stream(seed, f"calibration/{family}").numpy()
    centres = generator.random((3, 36)) < 0.5
    rows = centres[generator.choice(3, size=400, p=[0.7, 0.25, 0.05])] ^ (generator.random((400, 36)) < 0.08)
    dataset = rs.Dataset("clusters", rows[:300].astype(np.uint8), rows[300:].astype(np.uint8))
    config = {"batch_size": 50, "n_chains": 50, "learning_rate": (0.05, 0.3, 1.0)[seed % 3]}
    case = next(trained(family, dataset, [10], (20, 60)[seed % 2], seed=seed, **config))
    return Case(family, case.rbm, case.data[:200], case.models)


FAMILIES: dict[str, tuple[int, Callable[[str, int], Case]]] = {
    "straight": (30, modes_case),
    "biased": (30, modes_case),
    "both modes": (30, modes_case),
    "no path": (30, modes_case),
    "needle in data": (20, needle_case),
    "needle in weights": (20, needle_case),
    "hidden needle": (20, needle_case),
    "copies": (24, plain_case),
    "hopfield": (24, plain_case),
    "wide": (24, plain_case),
    "tall": (24, plain_case),
    "clusters": (24, cluster_case),
}
BAR = 20
FIRST = 1000  # the first seed; smaller ones were used while the rules were made


def judged(case: Case, seed: int) -> dict[str, Any]:
    """The bracket of a case, and where it has earlier models the trajectory's estimate of its ln Z."""
    began, exact = time.process_time(), float(exact_log_likelihood(case.rbm, case.data).mean())
    found = rs.likelihood_bracket(case.rbm, case.data, models=case.models, seed=seed, **OPTIONS)
    best, (low, high) = found.best, found.interval()
    row = {
        "exact": exact, "value": best.value, "stderr": best.stderr, "converged": found.converged,
        "holds": low <= exact <= high, "objections": list(found.objections),
    }  # fmt: skip
    if case.models is not None and seed % 4 == 1:
        curve = trajectory_log_partition(case.models, 100, seed=seed, others=case.data, budget=BUDGET)
        last = curve.log_partitions[-1]
        row["trajectory"] = {
            "exact": exact_log_partition(case.rbm), "value": last.value, "stderr": last.stderr,
            "converged": curve.converged[-1], "objections": list(curve.objections[-1])[:2],
        }  # fmt: skip
    return row | {"seconds": time.process_time() - began}


def bar(seed: int) -> dict[str, Any]:
    rbm = ferromagnet(0.6 + 0.05 * (seed % BAR), np.log(99.0))
    began, exact = time.process_time(), exact_log_partition(rbm)
    found = rs.log_partition(rbm, "bar", seed=seed, n_chains=200, n_betas=400)
    return {
        "exact": exact, "value": found.value, "stderr": found.stderr, "converged": found.converged, "holds": None,
        "objections": list(found.objections), "seconds": time.process_time() - began,
    }  # fmt: skip


def work() -> Iterator[tuple[str, int, Callable[[], dict[str, Any]]]]:
    """Name, seed and computation of every case, the families in turns."""
    for seed in range(max(count for count, _ in FAMILIES.values())):
        for family, (count, make) in FAMILIES.items():
            if seed < count:
                yield family, FIRST + seed, partial(_one, make, family, FIRST + seed)
        if seed < BAR:
            yield "bar", FIRST + seed, partial(bar, FIRST + seed)


def _one(make: Callable[[str, int], Case], family: str, seed: int) -> dict[str, Any]:
    return judged(make(family, seed), seed)


def summary(rows: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    lines: list[tuple[object, ...]] = []
    for family in [*dict.fromkeys(row["family"] for row in rows), "all but hidden needles"]:
        chosen = [
            row for row in rows if row["family"] == family or (family[:3] == "all" and row["family"][:6] != "hidden")
        ]
        sure = [row for row in chosen if row["converged"]]
        z = [abs(row["value"] - row["exact"]) / row["stderr"] for row in sure]
        lines.append(
            (
                family, len(chosen), len(sure), sum(one < 1.96 for one in z), sum(one > 4.0 for one in z),
                max(z, default=float("nan")), sum(bool(row["holds"]) for row in chosen if not row["converged"]),
            )
        )  # fmt: skip
    return lines


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--state", type=Path, required=True, help="file of finished cases, one a line")
    options.add_argument("--part", default="0/1", help="which of how many parts of the work")
    arguments = options.parse_args()
    where = start(arguments.threads)
    part, parts = (int(number) for number in arguments.part.split("/"))
    rows = [json.loads(line) for line in arguments.state.read_text().splitlines()] if arguments.state.exists() else []
    done = {(row["family"], row["seed"]) for row in rows}
    for number, (family, seed, compute) in enumerate(work()):
        if number % parts == part and (family, seed) not in done:
            rows.append({"family": family, "seed": seed} | compute())
            with arguments.state.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
    columns = ("family", "models", "converged", "hits of these", "of these z > 4", "largest |z|", "others: bound holds")
    lines = summary(rows)
    show("brackets of models with far modes and needles", columns, lines)
    along = [row["trajectory"] | {"family": row["family"], "holds": None} for row in rows if "trajectory" in row]
    show("the trajectory's ln Z of the last model", columns[:-1], [line[:-1] for line in summary(along)])
    content = {"settings": OPTIONS, "summary": [dict(zip(columns, line, strict=True)) for line in lines], "cases": rows}
    save("calibration_modes", arguments.out, where, content)


if __name__ == "__main__":
    main()
