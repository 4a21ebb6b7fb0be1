"""What the dispatcher has done, as plain numbers; metrics read them."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from services.contracts.case import Usage
from services.core.ledger.calls import Outcome, Reply

Sent = Literal["replied", "away", "retry", "rejected", "cancelled"]
"""How one HTTP request ended."""


@dataclass
class Stats:
    """Counts since the process began, by alias where not said otherwise."""

    started: Counter[str] = field(default_factory=Counter)
    """HTTP requests sent."""
    sent: Counter[tuple[str, Sent]] = field(default_factory=Counter)
    """HTTP requests ended, by alias and how."""
    calls: Counter[tuple[str, Literal["reply", "failure"]]] = field(default_factory=Counter)
    """Calls that this process made and wrote into the ledger."""
    tokens: Counter[tuple[str, Literal["prompt", "completion", "cached"]]] = field(default_factory=Counter)
    """Tokens of those calls."""
    under_way: Counter[str] = field(default_factory=Counter)
    """HTTP requests now on their way."""
    remembered: int = 0
    """Calls that the ledger held when they were asked for, or that another process finished meanwhile."""
    joined: int = 0
    """Calls asked for while they ran in this process."""
    leases_lost: int = 0
    """Leases that ran out or were given away under a call."""

    def ended(self, alias: str, outcome: Outcome) -> None:
        """A call of this process ended."""
        self.calls[alias, "reply" if isinstance(outcome, Reply) else "failure"] += 1
        self._add(alias, outcome.usage)

    def _add(self, alias: str, usage: Usage) -> None:
        self.tokens[alias, "prompt"] += usage.prompt
        self.tokens[alias, "completion"] += usage.completion
        self.tokens[alias, "cached"] += usage.cached
