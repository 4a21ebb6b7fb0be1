"""A model call as a value: the exact request, its id, and what can come back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from services.contracts.base import CallId, CaseId
from services.contracts.case import Call, FinishReason, Stage, Usage
from services.contracts.recipe import Model, Sampling
from services.core.case import ids

Purpose = Literal[Stage, "evaluate"]
"""What a request is for: a stage of a case, or the evaluation of a record, which is no part of any case."""


@dataclass(frozen=True)
class Request:
    """One request to a model server. Everything that decides the reply is part of its id; where the server stands,
    which recipe asked and which alias was used are not."""

    case_id: CaseId
    stage: Purpose
    alias: str
    model: Model
    prompt: str
    sampling: Sampling
    seed: int
    ask: tuple[int, int] = (0, 0)
    """(life of the case, number of the ask in it): a reply that can't be read is asked for under a new number."""
    schema: Mapping[str, Any] | None = field(default=None, hash=False)
    """JSON Schema that the reply must follow; `title` names it."""
    system: str | None = None
    """The system message; None: none is sent."""

    @cached_property
    def call_id(self) -> CallId:
        """Digest of the exact request and the number of the ask."""
        # The seed counts where it is not sent, too: two slots of one plan are two calls.
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
        """The chat, as the OpenAI-compatible endpoint takes it."""
        system = [] if self.system is None else [{"role": "system", "content": self.system}]
        return [*system, {"role": "user", "content": self.prompt}]

    @property
    def _special(self) -> list[dict[str, Any]]:
        """What the model's requests have beyond the usual; empty where that is nothing, so that older ids hold."""
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
    """What a server answered: a 200, whether or not its text can be used."""

    text: str
    finish_reason: FinishReason
    usage: Usage
    thinking: str = ""
    """A reasoning model's thinking, kept apart; it stays in the ledger."""
    problem: str = ""
    """Why there is no whole text, where the finish reason isn't all of it: a refusal (`stop`), an interruption or a
    text that repeats itself (`other`). Empty for a whole text and for one that was cut off."""

    @property
    def interrupted(self) -> bool:
        """Whether the server, not the model, ended the text; or the model did nothing but repeat itself."""
        return self.finish_reason == "other"

    @property
    def refused(self) -> bool:
        """Whether the model refused to answer."""
        return bool(self.problem) and not self.interrupted


@dataclass(frozen=True)
class Failure:
    """A call that failed for good: the server refused it, or every retry was used up."""

    reason: str
    usage: Usage = field(default_factory=Usage)


Outcome = Reply | Failure
"""How a call ended. The ledger holds it for ever (until pruned); everyone publishes what the ledger holds."""


@dataclass(frozen=True)
class Answer:
    """The outcome of a request, with the request's id and stage for the lineage."""

    request: Request
    outcome: Outcome

    @property
    def call(self) -> Call:
        """The call as a path's lineage names it."""
        assert self.request.stage != "evaluate", "an evaluation is in nobody's lineage"
        return Call(
            call_id=self.request.call_id,
            stage=self.request.stage,
            alias=self.request.alias,
            usage=self.outcome.usage,
        )
