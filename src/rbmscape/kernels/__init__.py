"""Sampling engines: arrays in, arrays out (equations 10 and 11 of arXiv:2503.21536)."""

from rbmscape.kernels.interface import Engine, Parameters, Workspace
from rbmscape.kernels.select import select_engine

__all__ = ["Engine", "Parameters", "Workspace", "select_engine"]
