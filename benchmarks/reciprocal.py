"""Reciprocal space at the paper's sizes: modes, evolution of a run, kurtosis of random states against NumPy.

``python -m benchmarks.reciprocal``

The kurtosis is timed in turn with what one would write in NumPy: random bits, float32 matrix product, moments; both
scaled to the paper's 7 000 000.  A full run of ours on all 7 000 000 states then says how
many standard errors the worst mode is from its exact value (``--states`` to shorten it).
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

import rbmscape as rs
from benchmarks.harness import parser, save, show, start
from rbmscape.reciprocal.evolution import evolution
from rbmscape.reciprocal.gaussianity import sampled_kurtosis
from rbmscape.speed import interleaved

BLOCK = 32_768  # states that NumPy holds in memory at once
OUR_BLOCK = 4 * BLOCK
PAPER_STATES = 7_000_000
CHECKPOINTS = 30


def timed(task: Callable[[], object]) -> float:
    began = time.perf_counter()
    task()
    return time.perf_counter() - began


def numpy_kurtosis(vectors: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    bits = generator.integers(0, 2, (BLOCK, len(vectors)), dtype=np.uint8).astype(np.float32)
    values = bits @ vectors
    values -= values.mean(axis=0)
    squares = values * values
    return np.mean(squares * squares, axis=0) / np.mean(squares, axis=0) ** 2


def growing_models(n_visible: int, n_hidden: int) -> list[rs.RBM]:
    """A stand-in for a run: random weights with twenty modes that grow and cross."""
    generator = np.random.default_rng(0)
    noise = 0.01 * generator.normal(size=(n_visible, n_hidden))
    left, right = (np.linalg.qr(generator.normal(size=(n, 20)))[0] for n in (n_visible, n_hidden))
    ends = generator.uniform(5.0, 15.0, 20)
    biases = generator.normal(size=n_visible), generator.normal(size=n_hidden)
    shapes = generator.uniform(0.5, 3.0, 20)
    strengths = [ends * (t / CHECKPOINTS) ** shapes for t in range(CHECKPOINTS)]
    return [rs.RBM(noise + (left * s) @ right.T, *biases).to(dtype=torch.float32) for s in strengths]


def measure_modes(images: np.ndarray, rounds: int) -> dict[str, float]:
    """Best time of `Modes.of` with the projection of all test images at each size."""
    found = {}
    for n_hidden in (500, 784, 1200, 3000):
        rbm = rs.RBM.random(784, n_hidden)
        found[f"modes_M{n_hidden}_s"] = min(timed(lambda rbm=rbm: rs.Modes.of(rbm)) for _ in range(rounds))
        whole = [timed(lambda rbm=rbm: rs.Modes.of(rbm).project(images)) for _ in range(rounds)]
        found[f"modes_and_projection_M{n_hidden}_s"] = min(whole)
    return found


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--states", type=int, default=PAPER_STATES, help="states of the full kurtosis run")
    arguments = options.parse_args()
    where = start(arguments.threads)
    images = rs.load_dataset("mnist").test
    numbers = measure_modes(images, min(3, arguments.rounds))
    models = growing_models(784, 500)
    numbers["evolution_30_checkpoints_M500_s"] = timed(
        lambda: evolution(models, list(range(CHECKPOINTS)), images, weight_std=0.01)
    )
    modes = rs.Modes.of(rs.RBM.random(784, 500, seed=3))
    vectors, generator = modes.right.numpy().astype(np.float32), np.random.default_rng(0)
    times = interleaved(
        {
            "rbmscape": lambda: sampled_kurtosis(modes, n_states=OUR_BLOCK, paired=True),
            "numpy": lambda: numpy_kurtosis(vectors, generator),
        },
        rounds=arguments.rounds,
        units={"rbmscape": OUR_BLOCK, "numpy": BLOCK},
    )
    medians = {name: timing.median * PAPER_STATES for name, timing in times.items()}
    numbers |= {f"kurtosis_{name}_s": seconds for name, seconds in medians.items()}
    numbers["kurtosis_speedup"] = medians["numpy"] / medians["rbmscape"]
    began = time.perf_counter()
    full = sampled_kurtosis(modes, n_states=arguments.states, paired=True)
    numbers |= {
        "full_run_states": arguments.states,
        "full_run_s": time.perf_counter() - began,
        "full_run_largest_z": float(np.abs(full.z_scores).max()),
        "full_run_rms_z": float(np.sqrt(np.mean(full.z_scores**2))),
    }
    show("Reciprocal space", ("quantity", "value"), [(name, float(value)) for name, value in numbers.items()])
    save("reciprocal", arguments.out, where, {"precision": full.precision, **numbers})


if __name__ == "__main__":
    main()
