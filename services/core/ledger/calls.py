"""A model call as a value: the exact request, its id, and its outcomes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from services.contracts.base import CallId, CaseId
from services.contracts.case import Call, FinishReason, Stage, Usage
from services.contracts.recipe import Model, Sampling
from services.core import ids

Purpose = Literal[Stage, "evaluate", "benchmark"]
"""The purpose of a request: a stage of a case; or the evaluation of a record, or a benchmark of a model, which belong
to no case."""


@dataclass(frozen=True)
class Request:
    """One request to a model server. Its id covers everything that determines the reply; not the address of the server,
    the recipe or the alias."""

    case_id: CaseId
    stage: Purpose
    alias: str
    model: Model
    prompt: str
    sampling: Sampling
    seed: int
    ask: tuple[int, int] = (0, 0)
    """(life of the case, number of the ask): a new ask after an unreadable reply has a new number."""
    schema: Mapping[str, Any] | None = field(default=None, hash=False)
    """JSON Schema that the reply must follow; `title` names it."""
    system: str | None = None
    """The system message; None: no system message is sent."""

    @cached_property
    def call_id(self) -> CallId:
        """Digest of the exact request and the number of the ask."""
        # The seed counts even if it is not sent: two slots of a plan are two calls.
        return CallId(
            ids.digest(
                "call",
                self.model.served,
                self.model.revision,
                self.messages,
                [self.sampling.temperature, self.sampling.top_p, self.sampling.max_tokens],
                self.schema,
                self.seed,
                list(self.ask),
                *self._special,
            )
        )

    @property
    def messages(self) -> list[dict[str, str]]:
        """The chat messages for the OpenAI-compatible endpoint."""
        system = [] if self.system is None else [{"role": "system", "content": self.system}]
        return [*system, {"role": "user", "content": self.prompt}]

    @property
    def _special(self) -> list[dict[str, Any]]:
        """The optional fields of a request; empty if none is set, so that existing ids stay the same."""
        model = self.model
        given = {
            "omit": sorted(model.omit) if model.omit else None,
            "max_tokens_as": model.max_tokens_as,
            "response_format": model.response_format,
            "extra_body": model.extra_body,
            "thinking": model.thinking,
        }
        special = {name: value for name, value in given.items() if value is not None}
        return [special] if special else []


@dataclass(frozen=True)
class Reply:
    """A server's 200 reply, usable or not."""

    text: str
    finish_reason: FinishReason
    usage: Usage
    thinking: str = ""
    """The thinking of a reasoning model; it is stored in the ledger only."""
    problem: str = ""
    """Why the text is incomplete, beyond the finish reason: a refusal (`stop`), an interruption, or a text that repeats
    itself (`other`). Empty for a complete text and for one that was cut off at the token limit."""

    @property
    def interrupted(self) -> bool:
        """Whether the server, not the model, ended the text; or the text only repeats itself."""
        return self.finish_reason == "other"

    @property
    def refused(self) -> bool:
        """Whether the model refused to answer."""
        return bool(self.problem) and not self.interrupted


@dataclass(frozen=True)
class Failure:
    """A permanent failure: the server refused the call, or all retries failed."""

    reason: str
    usage: Usage = field(default_factory=Usage)


Outcome = Reply | Failure
"""How a call ended. The ledger stores it until it is pruned; every worker publishes the stored outcome."""


@dataclass(frozen=True)
class Answer:
    """The outcome of a request, with the request's id and stage for the lineage."""

    request: Request
    outcome: Outcome

    @property
    def call(self) -> Call:
        """The call as a path's lineage names it."""
        assert self.request.stage not in ("evaluate", "benchmark"), "not part of a lineage"
        return Call(
            call_id=self.request.call_id,
            stage=self.request.stage,
            alias=self.request.alias,
            usage=self.outcome.usage,
        )
