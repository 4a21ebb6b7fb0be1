"""The table of error responses of model servers, by status and error code. Used by error_responses.py; documented in
docs/model-server-errors.md.

The first row that matches counts; rows with codes or words come before those of the bare status.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from services.llm.troubles import Reason

Kind = Literal["busy", "operator", "time-out", "failed", "refused"]
"""busy: the server is full. Lowers its limit; the call is held, and a pool tries the next server.
operator: the key, account, model name or address is wrong. The call is held and the error reported.
time-out, failed: the server or the network. A final failure after a few tries if other calls succeed; otherwise held.
refused: this request. A final failure if other calls succeed; otherwise a wrong configuration: held and reported."""


@dataclass(frozen=True)
class Row:
    """A row of the table. `codes`, if any: one must equal the error's code or type. `words`, if any: one must occur in
    the error's message (in lower case)."""

    statuses: frozenset[int]
    kind: Kind
    means: str
    codes: frozenset[str] = frozenset()
    words: tuple[str, ...] = ()
    reason: Reason | None = None
    """For operator."""

    @cached_property
    def plain_codes(self) -> frozenset[str]:
        """The codes as they are compared: servers write rate_limit_error, RateLimitError or "Rate limit error"."""
        return frozenset(map(plain, self.codes))


def plain(code: str) -> str:
    """The letters and digits of a code, in lower case."""
    return "".join(filter(str.isalnum, code)).casefold()


def _row(
    statuses: str, kind: Kind, means: str, codes: str = "", words: tuple[str, ...] = (), reason: Reason | None = None
) -> Row:
    return Row(_statuses(statuses), kind, means, frozenset(codes.split()), words, reason)


def _statuses(text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split():
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return frozenset(found)


_ANY = "200 400-599"
_QUOTA = "insufficient_quota billing_hard_limit_reached billing_not_active insufficient_balance Arrearage"
_NO_MODEL = (
    "model_not_found model_not_available model_not_supported invalid_model DeploymentNotFound ModelNotFoundError"
)
_KEY = "invalid_api_key authentication_error UNAUTHENTICATED unauthorized"
_UNSUPPORTED = "unsupported_parameter unsupported_value unknown_parameter"
_TOO_LONG = "context_length_exceeded exceed_context_size_error string_above_max_length ContextWindowExceededError"
_FILTERED = (
    "content_filter content_policy_violation ContentPolicyViolationError ResponsibleAIPolicyViolation "
    "data_inspection_failed"
)
_RATE = (
    "rate_limit_exceeded rate_limit_error too_many_requests throttling throttling_error overloaded overloaded_error "
    "engine_overloaded server_overloaded server_busy RESOURCE_EXHAUSTED"
)
_FULL = "service_unavailable service_unavailable_error UNAVAILABLE"
_LATE = "timeout timeout_error request_timeout gateway_timeout DEADLINE_EXCEEDED"
_BAD = "invalid_request invalid_request_error bad_request BadRequestError INVALID_ARGUMENT validation_error"

TABLE: tuple[Row, ...] = (
    _row(_ANY, "operator", "the account's quota is used up: check its billing", _QUOTA, reason="account"),
    _row(_ANY, "operator", "unknown model: check the alias's served name", _NO_MODEL, reason="model"),
    _row(_ANY, "operator", "the key is refused: check the alias's api_key", _KEY, reason="key"),
    _row("200 400 403 422 500-599", "refused", "the request's content was filtered", _FILTERED),
    _row("200 400 413 422 500-599", "refused", "the prompt does not fit the model's context", _TOO_LONG),
    _row(
        "200 400 413 422 500-599",
        "refused",
        "the prompt does not fit the model's context",
        words=("context length", "context size", "context window"),
    ),
    _row("400 409", "failed", "an earlier attempt is still running", words=("already running",)),
    _row(
        "400 403",
        "operator",
        "the key is refused: check the alias's api_key",
        words=("api key not valid", "invalid api key", "incorrect api key"),
        reason="key",
    ),
    _row(
        "400 422",
        "operator",
        "unknown model: check the alias's served name",
        words=("model not found", "unknown model", "not a valid model"),
        reason="model",
    ),
    _row(
        "200 400 422 500-599",
        "operator",
        "the server does not support this parameter: check the alias's model in the recipe",
        _UNSUPPORTED,
        reason="refused",
    ),
    _row("200 429 500-599", "busy", "too many calls for this server or account", _RATE),
    _row("200", "busy", "the server takes no more calls now", _FULL),
    _row("200 500-599", "time-out", "no reply in time", _LATE),
    _row("200", "refused", "the server refuses this request", _BAD),
    _row("429", "busy", "too many calls for this server or account"),
    _row("503 529", "busy", "the server takes no more calls now"),
    _row("498", "busy", "no capacity now"),
    _row("401", "operator", "the key is refused: check the alias's api_key", reason="key"),
    _row("402", "operator", "payment is required: check the account", reason="account"),
    _row("404 410", "operator", "unknown model or wrong base_url: check both for this alias", reason="model"),
    _row("405 426 501", "operator", "no chat endpoint here: check the alias's base_url", reason="address"),
    _row("407 511", "operator", "a proxy requires a login: check the network settings", reason="address"),
    _row("300-399", "operator", "a redirect: check the alias's base_url", reason="address"),
    _row("408 504 524 598 599", "time-out", "no reply in time"),
    _row("403", "refused", "forbidden: a content filter, or the key may not use this model"),
    _row("409 421 423-425 444 460 499", "failed", "the server did not finish the request"),
    _row("502 521-523 525-527 530", "failed", "a proxy does not reach the server"),
    _row("500-599", "failed", "an error of the server"),
    _row("100-199", "failed", "no reply"),
    _row("200-299", "failed", "an error in place of a reply"),
    _row("400-499", "refused", "the server refuses this request"),
)
"""Every status has a row: the last rows cover whole ranges."""


def row_of(status: int, codes: tuple[str, ...], message: str) -> Row:
    """The row for a response: status, the error's code and type, and its message in lower case."""
    for row in TABLE:
        if status not in row.statuses:
            continue
        if row.codes and row.plain_codes.isdisjoint(map(plain, codes)):
            continue
        if row.words and not any(word in message for word in row.words):
            continue
        return row
    return Row(frozenset(), "failed", "an unknown status")
