"""The tree of errors: named after the boundary that was crossed, and by what the caller is to do.

    Trouble
    ├── Dead               the message can't be processed: dead-letter it, by kind
    ├── Away               a dependency is away or slow: hold the message, try again; never a dead letter
    │   ├── BrokerAway
    │   ├── LedgerAway
    │   ├── BudgetSpent    admission stops until the sum is raised
    │   └── ModelAway      refused connection, 429, 503, and an operator's errors (401, 403, unknown model)
    ├── Retry              a call went wrong once (time-out, 500, reset, broken body): a few times, then final
    ├── Reject             a call that will never work (400, context too long, content refused)
    ├── BadIndex           a file is no evaluation index that this code reads: make it again
    └── Draining           the process is going: take nothing new, acknowledge nothing more

`Retry` and `Reject` never leave services.llm: they end as a `Failure` in the ledger.
"""

from typing import ClassVar, Literal

from services.contracts.dead import DeadKind

Dependency = Literal["broker", "ledger", "model", "budget", "other"]
"""What a message may have to wait for."""


class Trouble(Exception):
    """The root of what this system raises on purpose. The message says what was wrong, where, and what to do."""


class Dead(Trouble):
    """The message can't be processed; its kind says whether a redrive is worth while."""

    def __init__(self, kind: DeadKind, error: str, *, trips_circuit: bool = True) -> None:
        """`trips_circuit`: whether a burst of these may open the service's circuit; not where the sender alone is at
        fault, or anyone could stop a service with a few messages."""
        super().__init__(error)
        self.kind: DeadKind = kind
        self.error = error
        self.trips_circuit = trips_circuit


class Away(Trouble):
    """A dependency is away: wait and try again, with the message held."""

    dependency: ClassVar[Dependency] = "other"

    def __init__(self, error: str, retry_after: float | None = None) -> None:
        super().__init__(error)
        self.retry_after = retry_after
        """Seconds that the other side asked to wait, if it did."""


class BrokerAway(Away):
    """Kafka doesn't answer."""

    dependency = "broker"


class LedgerAway(Away):
    """The call ledger doesn't answer."""

    dependency = "ledger"


class ModelAway(Away):
    """A model server takes no calls now."""

    dependency = "model"


class BudgetSpent(Away):
    """What is spent and reserved has reached the budget: the question waits for a larger one, or for cases that cost
    less than was thought."""

    dependency = "budget"


class Retry(Trouble):
    """A call went wrong, and the same request may well work."""


class Reject(Trouble):
    """This request will never work."""


class BadIndex(Trouble):
    """What should be an evaluation index is none of this version: why, and what to do."""


class Draining(Trouble):
    """The process is shutting down and starts no new call: leave the message unacknowledged."""
