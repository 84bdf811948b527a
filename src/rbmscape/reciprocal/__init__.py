"""Reciprocal space: modes, coordinates, landscapes and the random-matrix law (arXiv:2503.21536, section 3)."""
