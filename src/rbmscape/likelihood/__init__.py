"""Log-likelihood with error bars: exact, annealed in both directions, and the bracket of both."""
