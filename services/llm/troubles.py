"""Errors of model servers, finer than services.core.errors, as limits, circuits and retries distinguish them.

ModelAway ── Busy      too many calls: the server is there
          ── Refuses   the operator must fix it: key, account, model name, address
Retry     ── TimedOut  the time limit of the call has passed
Reject    ── TooLarge  the reply exceeds the size limit

A `Retry` or a `Reject` is a failure of this call only if other calls of the same server succeed meanwhile; where all
fail, the server is away or its configuration is wrong, and the call is held (services.llm.server).
"""

from typing import Literal

from services.contracts.case import Usage
from services.core.errors import ModelAway, Reject, Retry, Trouble

Reason = Literal["unreachable", "busy", "failing", "time-out", "refused", "key", "account", "model", "address"]
"""Why a server accepts no calls, for metrics and status.

unreachable: no connection. busy: refuses every call as one too many. failing: errors for every call. time-out: no
reply in time to any call. refused: rejects every request, so the recipe or the deployment asks for something that the
server doesn't support. key, account, model, address: the operator's settings.
"""


class Busy(ModelAway):
    """The server refuses calls because it has too many."""


class Refuses(ModelAway):
    """The server refuses every caller until an operator acts."""

    def __init__(self, error: str, reason: Reason, retry_after: float | None = None) -> None:
        super().__init__(error, retry_after)
        self.reason: Reason = reason


class TimedOut(Retry):
    """No whole reply within the call's time."""


class TooLarge(Reject):
    """The reply exceeds its size limit. Its usage is known only if it could be parsed."""

    def __init__(self, error: str, usage: Usage | None = None) -> None:
        super().__init__(error)
        self.usage = usage or Usage()


def reason_of(trouble: Trouble) -> Reason:
    """The reason for which a server that answers every call like this is down."""
    match trouble:
        case Refuses():
            return trouble.reason
        case Busy():
            return "busy"
        case ModelAway():
            return "unreachable"
        case TimedOut():
            return "time-out"
        case Reject():
            return "refused"
        case _:
            return "failing"
