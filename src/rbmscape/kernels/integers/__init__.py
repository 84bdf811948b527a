"""Processors with AVX-512: 16-bit weights, exact sums (`rbmscape.kernels.rounding`), tables or a matrix unit."""
