"""A run's directory: recipe, metrics, checkpoints, resume state, lock."""

from rbmscape.runs.config import TrainingConfig
from rbmscape.runs.run import Run

__all__ = ["Run", "TrainingConfig"]
