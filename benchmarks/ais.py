"""Annealed importance sampling: speed against rbms, and what its number formats do to ln Z.

``python -m benchmarks.ais``

Speed: 500 chains, N = 784, M = 500, the same uniform temperatures.  rbms' `compute_partition_function_ais` makes four
matrix products and a copy of the parameters a temperature, ours two products.  Both run slices of `SLICE` temperatures
in turn, so that a change of the machine's speed meets both; 1000 temperatures cost ten times as much as one slice.

Bias: a model of 784 visible and 16 hidden units trained on MNIST, whose ln Z is known.  Formats: 15-bit integers with
the final correction (``bytes``), the sampler's 16-bit ones (``tables``, with AVX-512, or ``tiles``, with AMX), float32,
float64, and bfloat16 as matrix units do it (weights and products rounded), which leaves no distribution invariant and
cannot be corrected.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor

import rbmscape as rs
from benchmarks.harness import parser, save, show, start
from rbmscape.kernels.floats.annealing import ByteAnnealer, FloatAnnealer
from rbmscape.kernels.interface import Annealer, ModelLike
from rbmscape.kernels.reference.annealing import ReferenceAnnealer, ReferencePath
from rbmscape.kernels.select import select_engine
from rbmscape.likelihood.annealing import anneal
from rbmscape.likelihood.estimate import forward_estimate
from rbmscape.likelihood.path import AnnealingPath, pilot_states
from rbmscape.likelihood.schedules import uniform_schedule
from rbmscape.model.exact import exact_log_partition
from rbmscape.rng import Stream
from rbmscape.speed import interleaved

CHAINS, TEMPERATURES, SLICE = 500, 1000, 100


def processor_annealers() -> list[Annealer]:
    """Those that this processor can run, the default one first."""
    usual = select_engine().annealer()
    return [usual, *(one for one in (ByteAnnealer(), FloatAnnealer()) if one.name != usual.name)]


class Bf16Path(ReferencePath):
    """The path of `Bf16Annealer`."""

    def _fields(self, t: float) -> Tensor:
        self._buffers.pre_hidden.copy_(self._buffers.pre_hidden.to(torch.bfloat16))
        return super()._fields(t)


class Bf16Annealer(ReferenceAnnealer):
    """Weights and products rounded to bfloat16, everything else float32: a format that we do not use."""

    name = "bf16"

    def __init__(self) -> None:
        super().__init__(torch.float32)

    def bind(self, model: ModelLike, n_chains: int = 0, base: tuple[Tensor, Tensor] | None = None) -> Bf16Path:
        """A path whose products are rounded."""
        exact = super().bind(model, n_chains, base)
        return Bf16Path(exact._parameters, (exact.base_visible, exact.base_hidden), exact._buffers)


def model(n_visible: int, n_hidden: int) -> rs.RBM:
    generator = Stream(0, "benchmark").numpy()
    shapes = ((n_visible, n_hidden), n_visible, n_hidden)
    weights, a, b = (generator.normal(size=shape).astype(np.float32) for shape in shapes)
    return rs.RBM(0.1 * weights, a, b)


def our_slice(rbm: rs.RBM, annealer: Annealer) -> Callable[[], object]:
    stream = Stream(1, "benchmark")
    path = AnnealingPath.fit(rbm, pilot_states(rbm, stream, select_engine()))
    schedule = uniform_schedule(SLICE)
    return lambda: anneal(path, schedule, CHAINS, stream, annealer)


def rbms_slice(rbm: rs.RBM) -> Callable[[], object]:
    from rbms.bernoulli_bernoulli.classes import BBRBM
    from rbms.partition_function.ais import compute_partition_function_ais

    theirs = BBRBM(rbm.weights, rbm.visible_bias, rbm.hidden_bias)
    return lambda: compute_partition_function_ais(CHAINS, SLICE, theirs)


def speed(n_hidden: int, rounds: int) -> dict[str, float]:
    """Best milliseconds a temperature of each implementation."""
    rbm = model(784, n_hidden)
    tasks = {f"rbmscape, {one.name}": our_slice(rbm, one) for one in processor_annealers()}
    if find_spec("rbms"):
        tasks["rbms"] = rbms_slice(rbm)
    with torch.no_grad():
        timings = interleaved(tasks, rounds)
    return {name: 1e3 * timing.best / (SLICE - 1) for name, timing in timings.items()}


def bias(n_chains: int) -> list[dict[str, object]]:
    """Error of ln Z of a trained model that can be enumerated, in each number format."""
    dataset = rs.load_dataset("mnist", n_train=5000, n_test=500)
    config = rs.TrainingConfig(n_hidden=16, epochs=10, batch_size=100, n_chains=100, learning_rate=0.2, seed=1)
    rbm = rs.train(dataset, config, progress=False).load()
    exact = exact_log_partition(rbm)
    path = AnnealingPath.fit(rbm, torch.from_numpy(dataset.train))
    schedule = uniform_schedule(TEMPERATURES)
    rows: list[dict[str, object]] = []
    for annealer in (ReferenceAnnealer(), *processor_annealers(), Bf16Annealer()):
        used = path
        if isinstance(annealer, Bf16Annealer):
            rounded = rs.RBM(rbm.weights.to(torch.bfloat16).to(torch.float32), rbm.visible_bias, rbm.hidden_bias)
            used = AnnealingPath(rounded, path.base_visible, path.base_hidden)
        found = anneal(used, schedule, n_chains, Stream(2, "bias"), annealer)
        estimate = forward_estimate(found, np.random.default_rng(0), TEMPERATURES)
        rows.append(
            {"format": annealer.name, "error": estimate.value - exact, "stderr": estimate.stderr, "ess": estimate.ess}
        )
    return rows


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--hidden", type=int, nargs="*", default=[500], help="hidden units of the timed models")
    options.add_argument("--bias-chains", type=int, default=4000, help="chains of the bias study; 0 leaves it out")
    arguments = options.parse_args()
    where = start(arguments.threads)
    timed = {n_hidden: speed(n_hidden, arguments.rounds) for n_hidden in arguments.hidden}
    rows = []
    for n_hidden, milliseconds in timed.items():
        base = milliseconds.get("rbms", float("nan"))
        rows += [(n_hidden, name, value, base / value) for name, value in milliseconds.items()]
    show(f"AIS, {CHAINS} chains, N = 784", ("M", "implementation", "ms a temperature", "times rbms"), rows)
    found = bias(arguments.bias_chains) if arguments.bias_chains else []
    if found:
        columns = ("format", "error", "stderr", "ess")
        show("error of ln Z, M = 16", columns, [[row[name] for name in columns] for row in found])
    save("ais", arguments.out, where, {"milliseconds_a_temperature": timed, "bias": found})


if __name__ == "__main__":
    main()
