"""Samplers of an RBM and the diagnostics of their chains (arXiv:2503.21536, section 2)."""
