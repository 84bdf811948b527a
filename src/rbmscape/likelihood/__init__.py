"""ln Z and log-likelihoods of RBMs, each with an error and a verdict (arXiv:2503.21536, section 2, figure 1 left)."""

from rbmscape.likelihood.bracket import Bracket, likelihood_bracket
from rbmscape.likelihood.estimate import LogPartition, log_likelihood, log_partition
from rbmscape.likelihood.trajectory import LogPartitionCurve, OnlineLogPartition, trajectory_log_partition

__all__ = [
    "Bracket",
    "LogPartition",
    "LogPartitionCurve",
    "OnlineLogPartition",
    "likelihood_bracket",
    "log_likelihood",
    "log_partition",
    "trajectory_log_partition",
]
