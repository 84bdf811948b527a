"""The engine for graphics processors: integer products on tensor cores and what goes with them, written in Triton.

Nothing in here is imported before a GPU, or Triton's interpreter in the tests, is asked for.
"""
