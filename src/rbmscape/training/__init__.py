"""Training: gradient, schedule, averaging, trainer (section 2 of arXiv:2503.21536)."""

from rbmscape.runs.config import TrainingConfig
from rbmscape.training.train import train

__all__ = ["TrainingConfig", "train"]
