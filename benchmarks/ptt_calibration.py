"""Does the ladder of training in equilibrium know ln Z, throughout training?  Against sums over all hidden states.

``python -m benchmarks.ptt_calibration [--seeds 4]``

Models that can be enumerated (M <= 12) are trained with ``method="ptt"`` on bars and stripes, on two wells of weight
0.95 and 0.05 (the second is born late), on 0.5 and 0.5, and on MNIST's digits 0 and 1 with all 784 pixels; each at
rates from careful to far too large.  At every checkpoint the ladder's log-likelihood stands beside the exact one.
Wanted at checkpoints called converged: at least 93 % of the 95 % intervals hold the exact value, none is off by more
than 4 standard errors.  Negative control: without rejection and without the right to lower the rate (the controller is
switched off), far too large a rate must be called not converged wherever it is off.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any
from unittest import mock

import numpy as np
import torch

import rbmscape as rs
from benchmarks.harness import parser, save, show, start
from rbmscape.errors import LadderStalledError
from rbmscape.model.exact import exact_log_partition
from rbmscape.rng import Stream
from rbmscape.training.ladder import follower
from rbmscape.training.ladder.control import Action

FAMILIES: dict[str, dict[str, Any]] = {
    "bars-and-stripes": {"n_hidden": 12, "epochs": 3000, "batch_size": 50, "rates": (0.05, 0.2, 2.0)},
    "two wells 0.95": {"n_hidden": 12, "epochs": 60, "batch_size": 100, "rates": (0.05, 0.3, 2.0)},
    "two wells 0.5": {"n_hidden": 12, "epochs": 60, "batch_size": 100, "rates": (0.05, 0.3, 2.0)},
    "digits 0 and 1": {"n_hidden": 10, "epochs": 20, "batch_size": 500, "rates": (0.05, 0.2, 2.0)},
}
SHARED = {"method": "ptt", "n_chains": 500, "gibbs_steps": 2, "averaging": 0, "schedule": "constant"}


@dataclass(frozen=True)
class Point:
    """One checkpoint."""

    family: str
    rate: float
    seed: int
    update: int
    exact: float
    value: float
    stderr: float
    converged: bool
    verdict: str

    @property
    def z(self) -> float:
        """Deviation in standard errors."""
        return (self.value - self.exact) / self.stderr


def wells(share: float, n_visible: int = 64, seed: int = 5) -> rs.Dataset:
    """Noisy copies of a pattern (share of the rows) and of its negative."""
    generator = Stream(seed, "ptt/wells").numpy()
    pattern = np.where(generator.random(n_visible) < 0.5, 0.95, 0.05)
    first = generator.random(5000) < share
    rows = generator.random((5000, n_visible)) < np.where(first[:, None], pattern, 1.0 - pattern)
    return rs.Dataset.from_array(rows[:4000].astype(np.uint8), rows[4000:].astype(np.uint8))


def dataset(family: str) -> rs.Dataset:
    if family == "bars-and-stripes":
        return rs.load_dataset("bars-and-stripes", image_shape=(4, 4))
    if family == "digits 0 and 1":
        return rs.load_dataset("mnist", digits=[0, 1])
    return wells(float(family.rsplit(maxsplit=1)[-1]))


@contextmanager
def no_control() -> Iterator[None]:
    """Freeze where the acceptance asks for it, whatever the doubts; never reject, never lower the rate."""

    def decide(_rate: Any, acceptance: float, freeze_below: float, _reject_below: float) -> Action:
        return Action.FREEZE if acceptance < freeze_below else Action.GO_ON

    with (
        mock.patch.object(follower, "decide", decide),
        mock.patch.object(follower, "frozen", lambda rate, _: rate),
        mock.patch.object(follower.Follower, "_doubts", return_value=()),
        mock.patch.object(follower, "SCOUT_EVERY", 10**9),
    ):
        yield


def trained(family: str, rate: float, seed: int, data: rs.Dataset, **changes: Any) -> list[Point]:
    recipe = {key: value for key, value in FAMILIES[family].items() if key != "rates"}
    config = rs.TrainingConfig(**(SHARED | recipe | {"learning_rate": rate, "seed": seed} | changes))
    try:
        run = rs.train(data, config, progress=False)
    except LadderStalledError as error:
        print(f"{family}, rate {rate}, seed {seed}: {error}")
        return []
    points = []
    for row in run.rows:
        exact = exact_log_partition(run.load(row["update"]))
        numbers = exact, row["log_partition"], row["log_partition_stderr"]
        points.append(Point(family, rate, seed, row["update"], *numbers, row["converged"], row["verdict"]))
    return points


def line(name: str, rate: object, points: list[Point]) -> tuple[object, ...]:
    sure = [one for one in points if one.converged]
    off = [one for one in points if abs(one.z) > 4.0 and abs(one.value - one.exact) > 0.1]
    z = np.array([one.z for one in sure])
    return (
        name,
        rate,
        len(points),
        len(sure),
        float(np.mean(np.abs(z) < 1.96)) if len(z) else float("nan"),
        float(np.abs(z).max(initial=0.0)),
        float(np.sqrt(np.mean(z**2))) if len(z) else float("nan"),
        len(off),
        sum(one.converged for one in off),
    )


TITLES = ("family", "rate", "checkpoints", "converged", "hits", "largest |z|", "rms z", "off", "off and converged")


def table(title: str, points: list[Point]) -> list[dict[str, object]]:
    kinds = dict.fromkeys((one.family, one.rate) for one in points)
    rows = [line(family, rate, [p for p in points if (p.family, p.rate) == (family, rate)]) for family, rate in kinds]
    rows.append(line("all", "", points))
    show(title, TITLES, rows)
    return [dict(zip(TITLES, row, strict=True)) for row in rows]


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seeds", type=int, default=4)
    options.add_argument("--first-seed", type=int, default=0)
    options.add_argument("--families", nargs="*", default=list(FAMILIES))
    arguments = options.parse_args()
    where = start(arguments.threads)
    torch.set_num_threads(max(1, arguments.threads))
    began = time.process_time()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    points: list[Point] = []
    controls: list[Point] = []
    for family in arguments.families:
        data = dataset(family)
        for rate in FAMILIES[family]["rates"]:
            for seed in seeds:
                points += trained(family, rate, seed, data)
                print(*line(family, rate, [p for p in points if (p.family, p.rate) == (family, rate)]), flush=True)
        with no_control():
            for seed in seeds:
                controls += trained(family, 4.0, seed, data)
        print("negative control", *line(family, 4.0, [one for one in controls if one.family == family]), flush=True)
        table(family, [one for one in points if one.family == family])
    lines = table("95 % intervals of ln Z by the ladder", points)
    control_lines = table("negative control: no controller, rate 4", controls)
    content = {
        "processor_seconds": time.process_time() - began,
        "summary": lines,
        "negative_control": control_lines,
        "points": [asdict(one) | {"z": one.z} for one in points],
        "control_points": [asdict(one) | {"z": one.z} for one in controls],
    }
    save("ptt_calibration", arguments.out, where, content)


if __name__ == "__main__":
    main()
