"""Converts a message to a row without loss. Pure."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from services.contracts.base import VERSION, Value
from services.contracts.codec import Malformed, UnknownVersion, canonical, decode
from services.contracts.record import Record
from services.core.errors import Dead
from services.core.messages import ConsumedRecord
from services.exporter.schema import STAGES
from services.worker.handling import check_key

_INT64 = range(-(2**63), 2**63)

Row = dict[str, Any]
"""A value for each column of schema.SCHEMA."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A message as rows of a table."""

    identity: str
    """The id by which a repeat of the message is known."""
    digest: int
    """A 64-bit digest of the known fields without the writer's version, so that repeats from two minor versions compare
    equal in their common fields."""
    rows: tuple[Row, ...]

    @property
    def key(self) -> bytes:
        """The 16 bytes of the identity."""
        return key_of(self.identity)


def key_of(identity: str) -> bytes:
    """The 16 bytes of an id, after its prefix."""
    return bytes.fromhex(identity.rpartition("-")[2])


def export(received: ConsumedRecord) -> Exported:
    """The row of a record. Raises Dead: `poison`, or `not_yet` for another major version."""
    record = _record(received)
    check_key(received, record.case_id)  # with another key a repeat would be in another partition, and not be detected
    known, extra = split(record)
    check_integers(known)
    digest = digest_of(known, "version")
    row = {
        **_row(record, known),
        "extra": _json(extra),
        "content_digest": digest,
        "contract": VERSION,
        "kafka_partition": received.partition,
        "kafka_offset": received.offset,
        "written_at": written_at(received),
    }
    return Exported(record.record_id, digest, (row,))


def digest_of(known: dict[str, Any], *without: str) -> int:
    """64 bits of a message's known fields, without these."""
    content = {name: value for name, value in known.items() if name not in without}
    return int.from_bytes(hashlib.sha256(canonical(content)).digest()[:8], signed=True)


def written_at(received: ConsumedRecord) -> datetime:
    """Kafka's timestamp of a message."""
    return datetime.fromtimestamp(received.timestamp_ms / 1000, UTC)


def split(value: Any) -> tuple[Any, Any]:
    """A value's known fields as plain JSON, and its unknown fields in the same structure (empty if there are none)."""
    if isinstance(value, Value):
        known, extra = _split_items(
            (name, getattr(value, name)) for name in type(value).model_fields if _sent(value, name)
        )
        return known, {**(value.model_extra or {}), **extra}
    if isinstance(value, dict):
        return _split_items(value.items())
    if isinstance(value, tuple):
        known, extra = _split_items((str(index), item) for index, item in enumerate(value))
        return list(known.values()), extra
    return value, {}


def _sent(value: Value, name: str) -> bool:
    """Whether a message has the field: an optional one that is left out must not change the digest."""
    left_out = type(value).model_fields[name].exclude_if
    return left_out is None or not left_out(getattr(value, name))


def _split_items(items: Iterable[tuple[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    parts = {name: split(item) for name, item in items}
    known = {name: part[0] for name, part in parts.items()}
    extra = {name: part[1] for name, part in parts.items() if part[1]}
    return known, extra


def _record(received: ConsumedRecord) -> Record:
    try:
        return decode(Record, received.value or b"")
    except UnknownVersion as error:
        raise Dead("not_yet", str(error)) from error
    except Malformed as error:
        raise Dead("poison", f"no record: {error}") from error


def _row(record: Record, known: dict[str, Any]) -> Row:
    question, usage = record.question, record.usage.values()
    return {
        "record_id": record.record_id,
        "case_id": record.case_id,
        "work_id": record.work_id,
        "recipe_id": record.recipe_id,
        "path_id": record.path_id,
        "life": record.life,
        "record_index": record.index,
        "record_count": record.of,
        "source": question.source,
        "source_question_id": question.id,
        "subject": question.subject,
        "question": question.question,
        "options": [{"letter": letter, "text": text} for letter, text in question.options.items()],
        "answer": question.answer,
        "answer_text": question.options[question.answer],
        "context": known["question"]["context"],
        "difficulty": record.difficulty,
        "gold_disputed": record.gold_disputed,
        "origin": record.origin,
        "parents": known["parents"],
        "alias": record.alias,
        "model": record.model,
        "temperature": record.temperature,
        "chain": record.chain,
        "summary": record.summary,
        "score": record.score.value,
        "score_justification": record.score.justification,
        "verdict": record.verdict.outcome,
        "verdict_reason": record.verdict.reason,
        "verdict_by": record.verdict.by,
        "verdict_judged": record.verdict.judged,
        "stated": record.verdict.stated,
        "step_ends": None if record.verdict.steps is None else list(record.verdict.steps.ends),
        "in_error": None if record.in_error is None else [_faulty(path) for path in known["in_error"]],
        "spared": known.get("spared"),
        "case_prompt_tokens": _sum(tokens.prompt for tokens in usage),
        "case_completion_tokens": _sum(tokens.completion for tokens in usage),
        "case_cached_tokens": _sum(tokens.cached for tokens in usage),
        "cost_usd": sum(record.cost.values()),
        "usage": {stage: known["usage"].get(stage) for stage in STAGES},
        "cost": {stage: known["cost"].get(stage) for stage in STAGES},
        "calls": [_call(call) for call in known["calls"]],
        "version": record.version,
    }


def _faulty(known: dict[str, Any]) -> dict[str, Any]:
    own = {name: value for name, value in known.items() if name != "steps"}
    return {**own, "step_ends": known["steps"]["ends"], "errors": known["steps"]["errors"]}


def _call(known: dict[str, Any]) -> dict[str, Any]:
    return {**{name: known[name] for name in ("call_id", "stage", "alias")}, **known["usage"]}


def _json(extra: dict[str, Any]) -> str | None:
    try:
        return orjson.dumps(extra).decode() if extra else None
    except TypeError as error:  # orjson reads 1,024 levels and writes 254
        raise Dead("poison", "no record: unknown fields nested too deeply") from error


def _sum(counts: Iterable[int]) -> int:
    total = sum(counts)
    check_integers(total)
    return total


def check_integers(value: Any) -> None:
    """Integers in JSON may have 64 unsigned bits; the Parquet columns are signed. Raises Dead."""
    if isinstance(value, dict):
        for item in value.values():
            check_integers(item)
    elif isinstance(value, list):
        for item in value:
            check_integers(item)
    elif isinstance(value, int) and value not in _INT64:
        raise Dead("poison", "no record: a count of more than 63 bits")
