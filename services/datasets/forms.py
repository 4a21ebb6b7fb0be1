"""The forms of a row: which columns it has, and what they hold."""

from collections.abc import Iterable, Iterator
from typing import Any, assert_never

import pyarrow as pa

from services.contracts.question import Question
from services.core.case.chat import ChatMessage, chat_prompt, question_text
from services.datasets import judged, stepwise
from services.datasets.answers import answer_text, think_text
from services.datasets.names import Form, Variant, path_form
from services.datasets.questions import question_of
from services.exporter.schema import SCHEMA

LINEAGE = (
    "record_id",
    "case_id",
    "work_id",
    "recipe_id",
    "path_id",
    "source",
    "source_question_id",
    "subject",
    "answer",
    "answer_text",
    "difficulty",
    "gold_disputed",
    "origin",
    "parents",
    "alias",
    "model",
    "temperature",
    "score",
    "score_justification",
    "verdict_by",
    "verdict_reason",
    "cost_usd",
)
"""The flat columns of records with lineage and quality. Nested ones (calls, tokens and costs by stage) are only in the
records, under the same record id."""

QUESTION_LINEAGE = ("case_id", "source", "source_question_id", "subject")
"""The lineage columns of the question."""

_READ = ("question", "options", "context", "answer", "source", "case_id", "chain", "summary")


def read_columns(form: Form, lineage: pa.Schema) -> list[str]:
    """The columns of records or paths from which a form's rows are built."""
    if (of_paths := path_form(form)) is not None:
        return judged.read_columns(of_paths, lineage)
    return list(stepwise.READ) if form == "prm" else list(dict.fromkeys([*_READ, *lineage.names]))


_TEXT = pa.string()
_CHAT = pa.list_(pa.struct([("role", _TEXT), ("content", _TEXT)]))
_TURNS = pa.list_(pa.struct([("from", _TEXT), ("value", _TEXT)]))
_REWARD = pa.struct([("style", _TEXT), ("ground_truth", _TEXT)])
_EXTRA = pa.struct([("split", _TEXT), ("index", _TEXT)])
_SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt"}


def trainer_columns(form: Form, *, system: str | None) -> pa.Schema:
    """The columns that a trainer reads. No value in them is null."""
    match form:
        case "messages" | "think":
            return pa.schema([("messages", _CHAT)])
        case "prompt-completion":
            return pa.schema([("prompt", _CHAT), ("completion", _CHAT)])
        case "sharegpt":
            return pa.schema([("conversations", _TURNS)])
        case "alpaca":
            names = ["instruction", "input", "output", *(["system"] if system is not None else [])]
            return pa.schema([(name, _TEXT) for name in names])
        case "rl":
            return pa.schema(
                [
                    ("data_source", _TEXT),
                    ("prompt", _CHAT),
                    ("ability", _TEXT),
                    ("reward_model", _REWARD),
                    ("extra_info", _EXTRA),
                ]
            )
        case "prm":
            return stepwise.COLUMNS
        case "dpo" | "kto" | "verifier":
            return judged.columns(form)
        case _:
            assert_never(form)


def lineage_columns(form: Form) -> pa.Schema:
    """The columns of lineage that a form's rows may have."""
    if (of_paths := path_form(form)) is not None:
        return judged.lineage(of_paths)
    if form == "prm":
        return stepwise.LINEAGE
    names = QUESTION_LINEAGE if form == "rl" else LINEAGE
    return pa.schema([(name, SCHEMA.field(name).type) for name in names])


def untyped_columns(schema: pa.Schema) -> set[str]:
    """Lineage columns that may be null or empty. Readers of JSON lines infer a column's type from its first values, and
    fail if these are null and a later one is not."""
    names = [name for name in schema.names if name in LINEAGE]
    errors = {name for name in stepwise.LINEAGE.names if name in schema.names and name not in SCHEMA.names}
    return (
        errors
        | (judged.MAY_BE_NULL & set(schema.names))
        | {name for name in names if SCHEMA.field(name).nullable or pa.types.is_list(SCHEMA.field(name).type)}
    )


def shaped(
    batches: Iterable[pa.RecordBatch], form: Form, variant: Variant | None, *, system: str | None, lineage: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """The rows of the records in each batch, after the columns `key` and `split`, which are not part of a row."""
    if (of_paths := path_form(form)) is not None:
        yield from judged.judged_rows(batches, of_paths, system=system, lineage=lineage)
        return
    if form == "prm":
        yield from stepwise.step_rows(batches, system=system, lineage=lineage)
        return
    columns = trainer_columns(form, system=system)
    for batch in batches:
        made = [_row(form, variant, record, system) for record in batch.select(["split", *_READ]).to_pylist()]
        rows = pa.RecordBatch.from_pylist(made, schema=columns)
        carried = {name: batch[name] for name in ("key", "split")}
        extra = {name: batch[name] for name in lineage.names}
        yield pa.RecordBatch.from_pydict({**carried, **{name: rows[name] for name in columns.names}, **extra})


def _row(form: Form, variant: Variant | None, record: dict[str, Any], system: str | None) -> dict[str, Any]:
    question = question_of(record)
    prompt = chat_prompt(question, system=system)
    match form:
        case "messages":
            return {"messages": [*prompt, _assistant(_answer(variant, record, question))]}
        case "prompt-completion":
            return {"prompt": prompt, "completion": [_assistant(_answer(variant, record, question))]}
        case "sharegpt":
            chat = [*prompt, _assistant(_answer(variant, record, question))]
            return {"conversations": [{"from": _SPEAKERS[each["role"]], "value": each["content"]} for each in chat]}
        case "alpaca":
            answer = _answer(variant, record, question)
            return {"instruction": question_text(question), "input": "", "output": answer, "system": system}
        case "think":
            return {"messages": [*prompt, _assistant(think_text(record["chain"], record["summary"], question))]}
        case "rl":
            return {
                "data_source": record["source"] or "reasonmed",
                "prompt": prompt,
                "ability": "medicine",
                "reward_model": {"style": "rule", "ground_truth": question.answer},
                "extra_info": {"split": record["split"], "index": record["case_id"]},
            }
        case "prm" | "dpo" | "kto" | "verifier":
            raise AssertionError("made by modules of their own")
        case _:
            assert_never(form)


def _answer(variant: Variant | None, record: dict[str, Any], question: Question) -> str:
    assert variant is not None  # a request of these forms has one
    return answer_text(variant, record["chain"], record["summary"], question)


def _assistant(content: str) -> ChatMessage:
    return {"role": "assistant", "content": content}
