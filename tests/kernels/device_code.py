"""Compile every launch of the GPU's engine for a device that is not here: ``python device_code.py CAPABILITY``.

A stand-in for the driver names the device, launches end where the compiled kernel is at hand, and choices that follow
from the type of the device are those for GPUs.  Prints, as JSON, each kernel's number of compilations and its largest
shared memory in bytes.  Triton's interpreter must be off, so that this is a process of its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

from rbmscape.kernels.cuda import bound_paths, engine, launch, models, phases
from rbmscape.kernels.cuda.models import Shape
from rbmscape.kernels.cuda.update import Rule, Update
from rbmscape.kernels.interface import Parameters
from rbmscape.rng import Stream

N_VISIBLE, N_HIDDEN, N_CHAINS, MANY_CHAINS = 784, 500, 500, 4096
STREAM = Stream(0, "compiled")
RULES = (
    {"averaged": True, "longest": 1.0, "optimizer": "momentum", "momentum": 0.5},
    {"centered": False},
    {"optimizer": "adam", "method": "cd"},
    {"optimizer": "nesterov", "momentum": 0.5, "method": "rdm"},
    {"optimizer": "rmsprop"},
)


def driver_of(capability: int) -> SimpleNamespace:
    """As much of a driver as compiling asks for."""
    return SimpleNamespace(
        get_current_target=lambda: GPUTarget("cuda", capability, 32),
        get_current_device=lambda: 0,
        get_current_stream=lambda _device=0: 0,
    )


@contextmanager
def as_on_a_gpu(found: dict[str, dict[str, Any]]) -> Iterator[None]:
    """Kernels are compiled in place of being launched."""
    choose = launch.choose_tiles

    def tiles(bound, states, *, recorded=False):
        return choose(SimpleNamespace(shape=bound.shape, device=torch.device("cuda")), states, recorded=recorded)

    def compiled(kernel, grid):
        def run(*given, **options):
            made = kernel.run(*given, grid=grid, warmup=True, **options)
            row = found.setdefault(kernel.fn.__name__, {"made": set(), "shared": 0})
            row["made"].add(made.hash)
            row["shared"] = max(row["shared"], made.metadata.shared)

        return run

    changes = [(JITFunction, "__getitem__", compiled), (launch, "_processors", lambda _: 132)]
    changes += [(module, "choose_tiles", tiles) for module in (launch, bound_paths)]
    changes += [(module, "tile_on", lambda _, tile: tile) for module in (models, phases)]
    changes += [(engine, "chain_step", lambda *_: models.CHAINS)]
    with ExitStack() as stack:
        for owner, name, value in changes:
            stack.enter_context(mock.patch.object(owner, name, value))
        yield


def launch_everything() -> None:
    """Updates by all rules and of many models, samplers and paths of few and of many chains, and a batch of rungs."""
    train = torch.ones(1000, N_VISIBLE, dtype=torch.uint8)
    for n_models, rule in [(2, rule) for rule in RULES] + [(10, RULES[1])]:
        shape, schedule = Shape(n_models, N_VISIBLE, N_HIDDEN), torch.ones(n_models, 10, 3)
        update = Update(shape, train, Rule(N_CHAINS, N_CHAINS, 2, **rule), schedule, "cpu")
        update.prepare()
        update.queue()
    model = Parameters(torch.zeros(N_VISIBLE, N_HIDDEN), torch.zeros(N_VISIBLE), torch.zeros(N_HIDDEN))
    gpu = engine.CudaEngine("fixed", "cpu")
    for n_chains in (N_CHAINS, MANY_CHAINS):
        sampler, path = gpu.bind(model, n_chains), gpu.annealer().bind(model, n_chains)
        sampler.sample_hidden(STREAM, 0)
        sampler.sweep(STREAM, 0, 3)
        path.load(sampler.v)
        log_weights = torch.zeros(n_chains, dtype=torch.float64)
        path.walk(log_weights, [0.0, 0.5, 1.0], STREAM, 0)
        path.weigh(log_weights, 0.0, 0.5)
        path.beside([path], 100).walk([STREAM, STREAM], 0, 1, [(0, 0), (0, 1)])


def main() -> None:
    found: dict[str, dict[str, Any]] = {}
    driver.set_active(driver_of(int(sys.argv[1])))
    with as_on_a_gpu(found):
        launch_everything()
    counted = {name: {"made": len(row["made"]), "shared": row["shared"]} for name, row in found.items()}
    sys.stdout.write(json.dumps(counted) + "\n")


if __name__ == "__main__":
    main()
