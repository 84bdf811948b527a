"""Benchmarks of rbmscape; run one with ``python -m benchmarks.NAME``."""
