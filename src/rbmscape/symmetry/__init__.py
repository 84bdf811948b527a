"""Rotations of the modes and the breaking of their symmetry (arXiv:2503.21536, section 5)."""
