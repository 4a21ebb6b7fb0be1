"""Permanent errors of a store; services.core.errors.LedgerAway is the temporary one."""

from services.core.errors import Trouble


class LedgerUnusable(Trouble):
    """The address, or the store at it, cannot serve as a ledger. Waiting does not help: an operator must act."""
