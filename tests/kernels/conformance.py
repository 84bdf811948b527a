"""All engines that are registered and work here, as cases for the tests; a new line in the registry is found by itself.

The GPU's kernels run on a processor, too, in Triton's interpreter, which `tests/conftest.py` turns on.  An engine's
class may have a method ``variants`` that makes one engine for each of several ways to do the same.
"""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from rbmscape.kernels.interface import Annealer, Engine, Parameters
from rbmscape.kernels.reference.annealing import ReferenceAnnealer
from rbmscape.kernels.reference.engine import ReferenceEngine
from rbmscape.kernels.select import REGISTRY, Entry
from rbmscape.rng import Stream

STREAM = Stream(2024, "conformance")
DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


def _is_interpreted(entry: Entry, device: str) -> bool:
    """Whether an engine for GPUs works on this processor, in Triton's interpreter."""
    interpreter = os.environ.get("TRITON_INTERPRET") == "1" and find_spec("triton") is not None
    return interpreter and device == "cpu" and entry.home.startswith("rbmscape.kernels.cuda")


def _engines() -> list[Engine]:
    found: dict[tuple[str, str, str], list[Engine]] = {}
    for entry in REGISTRY:
        for device in DEVICES:
            if _is_interpreted(entry, device) or (entry.works_on(torch.device(device)) and not entry.missing()):
                module, _, name = entry.home.partition(":")
                home = getattr(import_module(module), name)
                make = getattr(home, "variants", lambda *how, home=home: [home(*how)])
                for precision in entry.precisions:
                    found.setdefault((entry.home, precision, device), make(precision, torch.device(device)))
    return [engine for engines in found.values() for engine in engines]


def _name(engine: Engine) -> str:
    """Folder, precision, annealer and device: what tells a case from the others."""
    folder = type(engine).__module__.split(".")[-2]
    return f"{folder}-{engine.precision}-{engine.annealer().name}-{engine.device.type}"


ENGINES = {_name(engine): engine for engine in _engines()}
ANNEALERS = {f"{one.annealer().name}-{one.device.type}": one.annealer() for one in ENGINES.values()}
every_engine = pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
every_annealer = pytest.mark.parametrize("annealer", ANNEALERS.values(), ids=ANNEALERS)


def reference_for(engine: Engine) -> Engine:
    """Plain torch on the processor in the same number format."""
    return ReferenceEngine(engine.precision)


def device_of(annealer: Annealer) -> torch.device:
    """Where its tensors live."""
    return annealer.bind(normal_model(1, 1)).v.device


def normal_model(n_visible: int, n_hidden: int, std: float = 0.3, seed: int = 0) -> Parameters:
    """Normal parameters."""
    generator = np.random.default_rng(seed)
    shapes = (n_visible, n_hidden), (n_visible,), (n_hidden,)
    return Parameters(*(torch.from_numpy(generator.normal(0, std, shape).astype(np.float32)) for shape in shapes))


def exact_model(n_visible: int, n_hidden: int, seed: int = 0) -> Parameters:
    """Multiples of 1/16 below 1: sums of them are exact in float32 in any order, so engines must agree bit for bit."""
    generator = np.random.default_rng(seed)
    shapes = (n_visible, n_hidden), (n_visible,), (n_hidden,)
    return Parameters(
        *(torch.from_numpy((generator.integers(-15, 16, shape) / 16).astype(np.float32)) for shape in shapes)
    )


def random_states(n_rows: int, n_units: int, draw: int = 99, first_chain: int = 0, p: float = 0.5) -> torch.Tensor:
    """(n_rows, n_units) uint8."""
    return (STREAM.uniform(draw, n_rows, n_units, first_chain) < p).to(torch.uint8)


def started(engine: Engine, model: Parameters, n_chains: int, first_chain: int = 0):
    """A sampler whose chains stand in random states."""
    sampler = engine.bind(model, n_chains)
    sampler.v.copy_(random_states(n_chains, model.weights.shape[0], first_chain=first_chain))
    return sampler


def states_of(bound) -> tuple[torch.Tensor, torch.Tensor]:
    """v and h as bytes on the processor."""
    return bound.v.to("cpu", torch.uint8), bound.h.to("cpu", torch.uint8)


def swept(engine: Engine, model: Parameters, n_chains: int, n_steps: int, beta: float = 1.0, first_chain: int = 0):
    """v and h after some steps."""
    sampler = started(engine, model, n_chains, first_chain)
    sampler.sweep(STREAM, 3, n_steps, beta, first_chain)
    return states_of(sampler)


def path_ends(n_visible: int, n_hidden: int, std: float = 0.3) -> tuple[Parameters, tuple[torch.Tensor, torch.Tensor]]:
    """A model and the base of a path to it."""
    generator = np.random.default_rng(n_visible)
    weights = generator.normal(scale=std, size=(n_visible, n_hidden))
    biases = [generator.normal(size=n) for n in (n_visible, n_hidden, n_visible, n_hidden)]
    w, a, b, a0, b0 = (torch.from_numpy(array.astype(np.float32)) for array in (weights, *biases))
    return Parameters(w, a, b), (a0, b0)


def walked(annealer: Annealer, ends, n_chains: int = 24, first_chain: int = 0):
    """Log weights and states after a few steps from fixed states."""
    model, base = ends
    path = annealer.bind(model, n_chains, base)
    path.load(random_states(n_chains, model.weights.shape[0], 0, first_chain, 0.4).to(path.v.device))
    log_weights = torch.zeros(n_chains, dtype=torch.float64, device=path.v.device)
    for step, (start, end) in enumerate([(0.0, 0.2), (0.2, 0.6), (0.6, 1.0)]):
        path.step(log_weights, start, end, STREAM, 2 * step + 1, first_chain)
    path.weigh(log_weights, 1.0, 0.9)
    return log_weights.cpu(), *states_of(path)


def expected_walk(annealer: Annealer, ends):
    """The same by the reference in float64, for the weights that the annealer's products represent."""
    model, base = ends
    worked = annealer.bind(model, 0, base).weights.cpu()
    return walked(ReferenceAnnealer(), (Parameters(worked, model.visible_bias, model.hidden_bias), base))
