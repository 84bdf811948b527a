"""The ledger's claims: every checkable statement of the paper with the rule that judges it.

Each module of this folder lists its own in ``CLAIMS``; they are found by looking at the folder, in the order of the
modules' names, which is the paper's.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rbmscape.report.verdicts import Claim

__all__ = ["CLAIMS"]

_MODULES = sorted(module.name for module in pkgutil.iter_modules(__path__))

CLAIMS: tuple[Claim, ...] = tuple(claim for name in _MODULES for claim in import_module(f"{__name__}.{name}").CLAIMS)
"""All claims."""
