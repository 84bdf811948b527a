"""ln Z and log-likelihoods of RBMs, each with an error and a verdict (arXiv:2503.21536, section 2, figure 1 left)."""

from rbmscape.likelihood.estimate import LogPartition, log_likelihood, log_partition

__all__ = ["LogPartition", "log_likelihood", "log_partition"]
