"""Processors in float32 and bfloat16: matrix products by torch, everything else in fused Numba passes."""
