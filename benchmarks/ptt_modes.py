"""Training in equilibrium where persistent chains lose a mode: two wells, and Ising spins below the transition.

``python -m benchmarks.ptt_modes [--tasks wells-20 wells-100 ising-2.0] [--pcd]``

Two wells: 256 units, a noisy pattern with weight 0.95 and its negative with 0.05; the truth is known.  Ising: 5000
independent configurations of the 16x16 square lattice as bits; the exact entropy a sample is the truth.  Reported: the
ladder's log-likelihood of the test data with its error and verdict, the exact one where M <= 20, how the states of the
delivered model's reservoir are shared between the wells, processor seconds.  With --pcd the recommended recipe beside
it, for as many updates.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

import rbmscape as rs
from benchmarks.harness import parser, save, show, start
from rbmscape.data.ising import ising_exact
from rbmscape.files import read_tensors
from rbmscape.model.exact import exact_log_likelihood
from rbmscape.rng import Stream
from rbmscape.runs.layout import RunLayout

TASKS = ("wells-20", "wells-100", "ising-2.0", "ising-2.27", "ising-2.6")
TITLES = ("task", "method", "test", "truth", "exact", "verdict", "rungs", "rate", "share up", "CPU s")


def wells(n_visible: int = 256, share: float = 0.95, noise: float = 0.05) -> tuple[rs.Dataset, float]:
    """The data and the mean log-likelihood of the test rows under the distribution that made them."""
    generator = Stream(7, "ptt/modes").numpy()
    pattern = generator.random(n_visible) < 0.5
    first = generator.random(6000) < share
    flipped = generator.random((6000, n_visible)) < noise
    rows = (np.where(first[:, None], pattern, ~pattern) ^ flipped).astype(np.uint8)
    test = rows[5000:]
    away = (test != pattern).sum(1)
    logs = [count * np.log(noise) + (n_visible - count) * np.log1p(-noise) for count in (away, n_visible - away)]
    truth = np.logaddexp(np.log(share) + logs[0], np.log1p(-share) + logs[1])
    return rs.Dataset.from_array(rows[:5000], test, name="two wells"), float(truth.mean())


def task(name: str) -> tuple[rs.Dataset, float, int]:
    """Data, truth, hidden units."""
    kind, number = name.split("-")
    if kind == "wells":
        return *wells(), int(number)
    data = rs.load_dataset("ising", image_shape=(16, 16), temperature=float(number), n_train=5000, n_test=1000)
    return data, -256.0 * ising_exact((16, 16), float(number)).entropy, 100


def trained(name: str, arguments: Any, method: str) -> tuple[object, ...]:
    data, truth, n_hidden = task(name)
    recipe = {"n_hidden": n_hidden, "epochs": arguments.epochs, "batch_size": 100, "n_chains": 500, "seed": 0}
    if method == "ptt":
        recipe |= {"method": "ptt", "gibbs_steps": 2, "learning_rate": arguments.rate}
    began = time.process_time()
    run = rs.train(data, rs.TrainingConfig(**recipe), progress=False)
    seconds = time.process_time() - began
    held, model, last = torch.from_numpy(data.test), run.load(), run.rows[-1]
    exact = float(exact_log_likelihood(model, held).mean()) if n_hidden <= 20 else float("nan")
    if method == "pcd":
        return name, method, "", truth, exact, "", "", "", float(_up(run.chains, held)), seconds
    tensors, _ = read_tensors(RunLayout(run.directory).reported)
    states = torch.from_numpy(np.unpackbits(tensors["states"].numpy(), axis=-1, count=data.n_visible))
    for row in run.rows:
        print(row["update"], row["log_likelihood_test"], row["log_partition_stderr"], row["rungs"], row["rate_factor"],
              row["acceptance"], row["rejections"], row["verdict"], flush=True)  # fmt: skip
    told = f"{last['log_likelihood_test']:.2f} ± {last['log_partition_stderr']:.2f}"
    share = float(_up(states.reshape(-1, data.n_visible), held))
    return name, method, told, truth, exact, last["verdict"], last["rungs"], last["rate_factor"], share, seconds


def _up(states: torch.Tensor, held: torch.Tensor) -> torch.Tensor:
    """Fraction of the states on the side of the data's first principal component where most of the data are."""
    centred = held.double() - held.double().mean(0)
    mode = torch.linalg.eigh(centred.T @ centred)[1][:, -1]
    side = centred @ mode
    return (((states.double() - held.double().mean(0)) @ mode) * side.median().sign() > 0).double().mean()


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--tasks", nargs="*", default=list(TASKS[:3]), choices=TASKS)
    options.add_argument("--epochs", type=int, default=60)
    options.add_argument("--rate", type=float, default=0.05)
    options.add_argument("--pcd", action="store_true")
    arguments = options.parse_args()
    where = start(arguments.threads)
    methods = ("ptt", "pcd") if arguments.pcd else ("ptt",)
    rows = [trained(name, arguments, method) for name in arguments.tasks for method in methods]
    show("training in equilibrium", TITLES, rows)
    content = {"epochs": arguments.epochs, "rate": arguments.rate}
    save("ptt_modes", arguments.out, where, content | {"rows": [dict(zip(TITLES, row, strict=True)) for row in rows]})


if __name__ == "__main__":
    main()
