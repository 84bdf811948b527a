"""Sampling engines: arrays in, arrays out (equations 10 and 11 of arXiv:2503.21536)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rbmscape.kernels.interface import (
        Annealer,
        BoundGradient,
        BoundPath,
        BoundSampler,
        Engine,
        Gradient,
        Parameters,
        RungBatch,
    )
    from rbmscape.kernels.select import select_engine

__all__ = [
    "NUMERIC_CONTRACT",
    "Annealer",
    "BoundGradient",
    "BoundPath",
    "BoundSampler",
    "Engine",
    "Gradient",
    "Parameters",
    "RungBatch",
    "select_engine",
]

NUMERIC_CONTRACT = 1
"""What results of a study follow from in place of the kernels' source.

Raise it when a sampling, annealing or gradient pass gives another bit for the same counters and parameters: then what
was sampled and measured is done again.
"""


def __getattr__(name: str) -> Any:
    """Import a name when it is first used, since `rbmscape.kernels.interface` loads torch."""
    if name not in __all__:
        raise AttributeError(f"module 'rbmscape.kernels' has no attribute {name!r}")
    home = "select" if name == "select_engine" else "interface"
    value = getattr(import_module(f"rbmscape.kernels.{home}"), name)
    globals()[name] = value
    return value
