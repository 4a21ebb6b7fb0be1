"""Rows of judged paths: pairs of a right and a wrong one, paths with a label, paths with a verdict to learn."""

from collections.abc import Iterable, Iterator
from typing import Any, assert_never

import pyarrow as pa

from services.contracts.question import Question
from services.core.case.chat import ChatMessage, chat_prompt, question_text
from services.datasets.answers import chain_text
from services.datasets.names import PathForm
from services.datasets.questions import question_of
from services.exporter.path_schema import PATH_SCHEMA

_TEXT = pa.string()
_MESSAGE = pa.struct([("role", _TEXT), ("content", _TEXT)])
_CHAT = pa.list_(_MESSAGE)

_COLUMNS: dict[PathForm, pa.Schema] = {
    "dpo": pa.schema(
        [
            *((name, _CHAT) for name in ("prompt", "chosen", "rejected")),
            *((name, _MESSAGE) for name in ("chosen_message", "rejected_message")),
        ]
    ),
    "kto": pa.schema([("prompt", _CHAT), ("completion", _CHAT), ("label", pa.bool_()), ("conversation", _CHAT)]),
    "verifier": pa.schema([("prompt", _CHAT), ("completion", _CHAT)]),
}
"""TRL's preference, unpaired preference, and prompt-completion. LLaMA-Factory wants the answers of a pair as messages,
and prompt and completion in one list: the last columns of `dpo` and `kto`."""

_LINEAGE = (
    *("case_id", "work_id", "recipe_id", "path_id", "source", "source_question_id", "subject", "difficulty"),
    *("gold_disputed", "origin", "alias", "temperature", "standing", "verdict_by", "stated", "score", "reason"),
)
_OF_REJECTED = ("path_id", "origin", "alias", "temperature", "verdict_by", "stated", "reason")
MAY_BE_NULL = frozenset(("source", "source_question_id", "subject", "stated", "rejected_stated", "score"))
"""The columns of lineage that may be null."""

CHECK = """{question}

A proposed answer:
{path}

Check it step by step. Say what decides, and end with the line `Verdict: correct` or `Verdict: error`."""
"""The prompt of a verifier. It does not see the gold answer."""


def columns(form: PathForm) -> pa.Schema:
    """The columns that a trainer reads. No value in them is null."""
    return _COLUMNS[form]


def lineage(form: PathForm) -> pa.Schema:
    """The columns that say where a row comes from. Of a pair, they are the chosen path's, and the rejected one's with a
    prefix."""
    own = [(name, PATH_SCHEMA.field(name).type) for name in _LINEAGE]
    rejected = [(f"rejected_{name}", PATH_SCHEMA.field(name).type) for name in _OF_REJECTED]
    return pa.schema([*own, *(rejected if form == "dpo" else [])])


def read_columns(form: PathForm, kept: pa.Schema) -> list[str]:
    """The columns of records.Records from which rows are built."""
    own = ("question", "options", "context", "answer", "text", "standing", "stated", "reason")
    rejected = ("rejected_text", "rejected_stated") if form == "dpo" else ()
    return list(dict.fromkeys([*own, *rejected, *kept.names]))


def judged_rows(
    batches: Iterable[pa.RecordBatch], form: PathForm, *, system: str | None, lineage: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """The rows of the paths in each batch, after the columns `key` and `split`."""
    schema = pa.schema([("key", _TEXT), ("split", _TEXT), *columns(form), *lineage])
    for batch in batches:
        yield pa.RecordBatch.from_pylist([row | _row(form, row, system) for row in batch.to_pylist()], schema=schema)


def _row(form: PathForm, path: dict[str, Any], system: str | None) -> dict[str, Any]:
    question = question_of(path)
    prompt = chat_prompt(question, system=system)
    right = path["standing"] == "correct"
    match form:
        case "dpo":
            chosen = _assistant(chain_text(path["text"], question, question.answer))
            rejected = _assistant(chain_text(path["rejected_text"], question, path["rejected_stated"]))
            messages = {"chosen_message": chosen, "rejected_message": rejected}
            return {"prompt": prompt, "chosen": [chosen], "rejected": [rejected], **messages}
        case "kto":
            letter = question.answer if right else path["stated"]
            answer = _assistant(chain_text(path["text"], question, letter))
            return {"prompt": prompt, "completion": [answer], "label": right, "conversation": [*prompt, answer]}
        case "verifier":
            asked = CHECK.format(question=question_text(question), path=_proposed(path, question))
            verdict = "\n\n".join(part for part in (path["reason"], f"Verdict: {path['standing']}") if part)
            before = [message for message in prompt if message["role"] == "system"]
            return {"prompt": [*before, {"role": "user", "content": asked}], "completion": [_assistant(verdict)]}
        case _:
            assert_never(form)


def _proposed(path: dict[str, Any], question: Question) -> str:
    return chain_text(path["text"], question, path["stated"])


def _assistant(content: str) -> ChatMessage:
    return {"role": "assistant", "content": content}
