"""Training: gradient, schedule, averaging, trainer (section 2 of arXiv:2503.21536)."""

from rbmscape.runs.config import TrainingConfig
from rbmscape.training.many import train_many
from rbmscape.training.train import train

__all__ = ["CONTINUED", "NUMERIC_CONTRACT", "TrainingConfig", "train", "train_many"]

NUMERIC_CONTRACT = 3
"""What the runs of a study follow from in place of the source of training.

Raise it when the same recipe, data and seed give other weights, also when `rbmscape.kernels.NUMERIC_CONTRACT` is
raised: a study then refuses to mix runs of both.
"""

CONTINUED = (1, 2)
"""Earlier contracts whose runs go on as they were begun, bit for bit: the record of a run says in which arithmetic its
parameters are moved.  Not those of method "ptt", whose ladder has climbed in another way since 3.
"""
