"""Sampling engines: arrays in, arrays out (equations 10 and 11 of arXiv:2503.21536)."""

from rbmscape.kernels.interface import Annealer, BoundGradient, BoundPath, BoundSampler, Engine, Gradient, Parameters
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
    "select_engine",
]

NUMERIC_CONTRACT = 1
"""What results of a study follow from in place of the kernels' source.

Raise it when a sampling, annealing or gradient pass gives another bit for the same counters and parameters: then what
was sampled and measured is done again.
"""
