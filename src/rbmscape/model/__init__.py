"""The Restricted Boltzmann Machine of section 2 of arXiv:2503.21536 and its exact enumeration."""

from rbmscape.model.rbm import RBM

__all__ = ["RBM"]
