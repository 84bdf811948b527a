"""What all passes compiled by Numba share: compiling, random numbers, threads."""
