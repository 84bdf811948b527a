"""Vector code that Numba cannot express, written in the language of LLVM."""
