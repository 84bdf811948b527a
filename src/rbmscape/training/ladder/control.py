"""Rate and rejection: how fast the training may go so that its ladder can follow.

A freeze costs as much as some dozens of updates.  Whether learning or noise spends the overlap with the last rung, the
way that a training goes in a given time is longest where as much of it is spent on updates as on freezes, and hardly
shorter at twice that share.  So the factor on the recipe's learning rate, at most one, is steered to about 60 updates a
rung: a freeze after n updates and with s new rungs multiplies it by ``√(n / 60 s)``, by 1/2 at least and 2 at most, and
every 20 updates at whose end the acceptance is well above the threshold raise it by 10 %.  It is halved when a model is
taken back.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, replace

__all__ = ["Action", "Rate", "decide", "frozen", "was_rejected", "went_on"]

QUICK = 5
TARGET = 60
QUIET = 20
EASY = 0.1
RAISE, HALVE = 1.1, 0.5
FIRST = 0.1
MAX_HALVINGS = 12


class Action(enum.Enum):
    """What the acceptance asks for."""

    GO_ON = "go on"
    FREEZE = "freeze"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Rate:
    """State of the controller.

    Attributes
    ----------
    factor : on the learning rate, in (0, 1]
    since_freeze, since_change : updates since the last freeze (or rejection) and since the factor last changed
    halvings : rejections since the last freeze or the last 20 quiet updates
    rejections : in all
    """

    factor: float = FIRST
    since_freeze: int = 0
    since_change: int = 0
    halvings: int = 0
    rejections: int = 0

    @property
    def stalled(self) -> bool:
        """Whether halving the rate has not helped for too long."""
        return self.halvings > MAX_HALVINGS


def decide(rate: Rate, acceptance: float, freeze_below: float, reject_below: float) -> Action:
    """Go on, freeze, or take back: the last too where a freeze would follow the last one at once."""
    if not acceptance >= reject_below:  # also where it is not a number
        return Action.REJECT
    if acceptance < freeze_below:
        return Action.REJECT if rate.since_freeze < QUICK else Action.FREEZE
    return Action.GO_ON


def went_on(rate: Rate, acceptance: float, freeze_below: float) -> Rate:
    """After an update that asked for nothing."""
    moved = replace(rate, since_freeze=rate.since_freeze + 1, since_change=rate.since_change + 1)
    if moved.since_change < QUIET:
        return moved
    factor = min(1.0, rate.factor * RAISE) if acceptance > freeze_below + EASY else rate.factor
    return replace(moved, factor=factor, since_change=0, halvings=0)


def frozen(rate: Rate, n_rungs: int) -> Rate:
    """After a freeze with so many new rungs."""
    share = math.sqrt((rate.since_freeze + 1) / (n_rungs * TARGET))
    return replace(
        rate,
        factor=min(1.0, rate.factor * min(1.0 / HALVE, max(HALVE, share))),
        since_freeze=0,
        since_change=0,
        halvings=0,
    )


def was_rejected(rate: Rate) -> Rate:
    """After a model was taken back."""
    return Rate(rate.factor * HALVE, 0, 0, rate.halvings + 1, rate.rejections + 1)
