"""One epoch of PCD-10 on MNIST (M = 500, batch and chains 500, 120 updates) against rbms, and the memory it takes.

``python -m benchmarks.epoch``

Both sides run their own update: ours `rbmscape.training.trainer.Trainer.step`, theirs ``fit_batch_pcd`` and the
optimiser of their training loop, without the file that theirs appends to at every update and without our
checkpoints; both use the centred gradient and SGD.  A second number is `rbmscape.train` from the call to the finished
run, checkpoints and metrics included, in a process of its own, whose peak memory is reported.

Expected before measuring: 20 of about 25 matrix products of an update are the sampler's, so the ratio should come close
to that of the sweeps, less what the float32 products of the gradient cost.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import torch

import rbmscape as rs
from benchmarks.harness import parser, save, show, start
from rbmscape.kernels.select import select_engine
from rbmscape.speed import interleaved
from rbmscape.training.trainer import Trainer

SETTINGS = {"n_hidden": 500, "gibbs_steps": 10, "batch_size": 500, "n_chains": 500, "learning_rate": 0.05}
UPDATES_A_SLICE = 10


def our_updates(dataset: rs.Dataset, precision: str) -> Callable[[], None]:
    config = rs.TrainingConfig(**SETTINGS, epochs=100, schedule="constant", averaging=0, precision=precision)
    trainer = Trainer(dataset, config, select_engine(precision=precision))

    def run() -> None:
        for _ in range(UPDATES_A_SLICE):
            trainer.step()

    return run


def rbms_updates(dataset: rs.Dataset) -> Callable[[], None]:
    from rbms.bernoulli_bernoulli.classes import BBRBM
    from rbms.training.pcd import fit_batch_pcd

    data = torch.from_numpy(dataset.train).float()
    ones = torch.ones(len(data))
    torch.manual_seed(0)
    frequencies = data.mean(0).clamp(1e-4, 1 - 1e-4)
    model = BBRBM(0.01 * torch.randn(784, SETTINGS["n_hidden"]), torch.logit(frequencies), torch.zeros(500))
    model.init_grad()
    optimizer = torch.optim.SGD(model.parameters(), lr=SETTINGS["learning_rate"], maximize=True)
    chains = model.init_chains(SETTINGS["n_chains"])

    def run() -> None:
        nonlocal chains
        with torch.no_grad():
            for _ in range(UPDATES_A_SLICE):
                rows = torch.randperm(len(data))[: SETTINGS["batch_size"]]
                optimizer.zero_grad(set_to_none=False)
                chains, _ = fit_batch_pcd((data[rows], ones[rows]), chains, model, SETTINGS["gibbs_steps"], 1.0)
                optimizer.step()

    return run


def whole_run(threads: int) -> None:
    """One epoch by the public function; prints its seconds and the peak memory of the process in bytes."""
    if threads:
        torch.set_num_threads(threads)
    dataset = rs.load_dataset("mnist")
    with tempfile.TemporaryDirectory() as directory:
        began = time.perf_counter()
        rs.train(dataset, rs.TrainingConfig(**SETTINGS, epochs=1), f"{directory}/run", progress=False)
        seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--whole-run", action="store_true", help="only the run whose memory is measured")
    chosen = options.parse_args()
    if chosen.whole_run:
        whole_run(chosen.threads)
        return
    where = start(chosen.threads)
    command = [sys.executable, "-m", "benchmarks.epoch", "--whole-run", "--threads", str(chosen.threads)]
    alone = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    dataset = rs.load_dataset("mnist")
    updates_an_epoch = len(dataset.train) // SETTINGS["batch_size"]
    tasks = {"rbmscape": our_updates(dataset, "auto"), "rbmscape fp32": our_updates(dataset, "fp32")}
    tasks["rbms 0.5.0"] = rbms_updates(dataset)
    timed = interleaved(tasks, chosen.rounds, UPDATES_A_SLICE)
    epochs = {name: timing.best * updates_an_epoch for name, timing in timed.items()}
    medians = {name: timing.median * updates_an_epoch for name, timing in timed.items()}
    peer = epochs["rbms 0.5.0"]
    show(
        f"One epoch of PCD-10, {where['threads']} threads; whole run {alone['seconds']:.1f} s, "
        f"peak memory {alone['peak_bytes'] / 2**30:.2f} GiB",
        ["", "best s", "median s", "rbms / this"],
        [[name, epochs[name], medians[name], peer / epochs[name]] for name in epochs],
    )
    content = {"settings": SETTINGS, "epoch_seconds": epochs, "epoch_seconds_median": medians, "whole_run": alone}
    print(f"saved {save('epoch', chosen.out, where, content)}")


if __name__ == "__main__":
    main()
