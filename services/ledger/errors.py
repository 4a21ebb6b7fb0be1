"""What is wrong with a store for good, beside services.core.errors.LedgerAway (not now)."""

from services.core.errors import Trouble


class LedgerUnusable(Trouble):
    """The address or what stands there can't serve as a ledger: waiting won't help, an operator must act."""
