"""The ledger's claims: every checkable statement of the paper with the rule that judges it, in the paper's order."""

from rbmscape.report.claims import landau, section2, section3, section4, section5, section6

__all__ = ["CLAIMS"]

CLAIMS = (*section2.CLAIMS, *section3.CLAIMS, *section4.CLAIMS, *section5.CLAIMS, *landau.CLAIMS, *section6.CLAIMS)
"""All claims."""
