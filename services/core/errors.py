"""The error hierarchy: named by the boundary that failed and by the caller's reaction.

    Trouble
    ├── Dead               the message cannot be processed: write a dead letter of its kind
    ├── Away               a dependency is unavailable or slow: hold the message and retry; never a dead letter
    │   ├── BrokerAway
    │   ├── LedgerAway
    │   ├── BudgetSpent    admission stops until the budget is raised
    │   └── ModelAway      the server fails every recent call, or its settings are wrong (401, unknown model)
    ├── Retry              this call failed while others of its server succeed: retry a few times, then final
    ├── Reject             a call that can never succeed (400, 403, context too long, content refused)
    ├── BadIndex           a file is not an evaluation index of this version: build it again
    └── Draining           the process is shutting down: start nothing new, acknowledge nothing more

`Retry` and `Reject` never leave services.llm: they are stored as a `Failure` in the ledger.
"""

from typing import ClassVar, Literal

from services.contracts.dead import DeadKind

Dependency = Literal["broker", "ledger", "model", "budget", "other"]
"""A dependency that a message may wait for."""


class Trouble(Exception):
    """The base of all errors that this system raises on purpose. The text gives cause, place and remedy."""


class Dead(Trouble):
    """The message cannot be processed; its kind shows whether a redrive is useful."""

    def __init__(self, kind: DeadKind, error: str, *, trips_circuit: bool = True) -> None:
        """`trips_circuit`: whether a burst of these may open the service's circuit; not where the sender alone is at
        fault, or anyone could stop a service with a few messages."""
        super().__init__(error)
        self.kind: DeadKind = kind
        self.error = error
        self.trips_circuit = trips_circuit


class Away(Trouble):
    """A dependency is unavailable: hold the message and retry."""

    dependency: ClassVar[Dependency] = "other"

    def __init__(self, error: str, retry_after: float | None = None) -> None:
        super().__init__(error)
        self.retry_after = retry_after
        """Seconds to wait, if the dependency named them."""


class BrokerAway(Away):
    """Kafka does not answer."""

    dependency = "broker"


class LedgerAway(Away):
    """The call ledger does not answer."""

    dependency = "ledger"


class ModelAway(Away):
    """A model server accepts no calls now."""

    dependency = "model"


class BudgetSpent(Away):
    """The amount spent and reserved has reached the budget. The question waits for a larger budget, or for cases that
    cost less than estimated."""

    dependency = "budget"


class Retry(Trouble):
    """A call failed, and the same request may succeed."""


class Reject(Trouble):
    """This request can never succeed."""


class BadIndex(Trouble):
    """A file is not an evaluation index of this version. The text gives cause and remedy."""


class Draining(Trouble):
    """The process is shutting down and starts no new call: leave the message unacknowledged."""
