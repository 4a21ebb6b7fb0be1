"""Requests and replies of the scripted server, as values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from services.contracts.base import CaseId
from services.contracts.case import FinishReason

CHARACTERS_A_TOKEN = 4
"""As in English, about: by it usage is counted and texts are cut off."""

JUDGES = ("verify", "score", "evaluate")
"""The stages whose replies are JSON."""

_NUMBER = re.compile(r"^\[\d{1,3}\] ", re.MULTILINE)
"""Before each step, where the judge is asked for steps."""

JUDGED_BEGIN, JUDGED_END = "<reasoning>", "</reasoning>"


@dataclass(frozen=True)
class Ask:
    """The fields of a chat request that the script uses."""

    stage: str
    """The header X-Stage: what the call is for; empty: a plain chat."""
    case_id: CaseId
    """The header X-Case-Id: which question it is about."""
    prompt: str
    seed: int
    max_tokens: int
    schema: Mapping[str, Any] | None = None

    def path(self) -> str:
        """The path that the prompt holds between <reasoning> tags, without the numbers of its steps; the last pair of
        tags, as instructions name them."""
        before, end, _ = self.prompt.rpartition(JUDGED_END)
        text = before.rpartition(JUDGED_BEGIN)[2].strip() if end else ""
        return _NUMBER.sub("", text) if self.of_steps else text

    @property
    def of_steps(self) -> bool:
        """Whether the reply names steps in error."""
        return self.schema is not None and "errors" in self.schema.get("properties", {})


@dataclass(frozen=True)
class Said:
    """A reply's text, and its fields for the log."""

    text: str
    finish: FinishReason = "stop"
    notes: Mapping[str, Any] = field(default_factory=dict)


class Author(Protocol):
    """Writes chains of thought: scripted or recorded."""

    def write(self, ask: Ask) -> str:
        """A chain of thought (generate, refine, reason)."""
        ...

    def holds(self, ask: Ask, path: str) -> bool:
        """Whether this path reaches the gold answer."""
        ...
