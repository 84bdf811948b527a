"""Numbers and times as the report prints them."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rbmscape.stats import Estimate

__all__ = ["duration", "format_estimate", "format_number", "real_minus"]


def duration(seconds: float | None) -> str:
    """Seconds as 45 s, 3 min 20 s or 2 h 05 min."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def format_estimate(estimate: Estimate | None) -> str:
    """Value ± error with a real minus sign, or a dash."""
    return "–" if estimate is None or math.isnan(estimate.value) else real_minus(str(estimate))


def format_number(value: float | None, digits: int = 0) -> str:
    """Fixed digits, or a dash for what is not known."""
    return "–" if value is None or not math.isfinite(value) else real_minus(f"{value:.{digits}f}")


def real_minus(text: str) -> str:
    """A text with − before digits that follow no letter or digit, in place of the hyphen of ASCII numbers."""
    return re.sub(r"(?<![\w.)-])-(?=\d)", "−", text)
