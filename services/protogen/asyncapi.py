"""The topics as an AsyncAPI 3.0 document, for external people and tools in any language.

Its messages refer to the JSON Schemas, which describe the fields.
"""

from collections.abc import Collection, Iterable
from typing import Any

from services.contracts.base import VERSION
from services.contracts.dead import DEAD_LETTER_HEADER
from services.contracts.topics import CURRENT, Topic

KAFKA_BINDING = "0.5.0"
DAY_MS = 86_400_000

DESCRIPTION = """\
The topics of ReasonMed as a stream: medical questions in, verified chains of thought out. Any consumer may
read any topic in a consumer group of its own, without effect on the services.

**Repeats.** Delivery is at least once: the same id with the same bytes may arrive again in the same partition, at any
later time. Recognise a repeat by its bytes and drop it. (Except in compacted topics, where the last value of a key
counts.) Two messages with the same id and different bytes are a defect: please report it.

**Ids.** A case id is the digest of the question; a work id is the digest of the case and its recipe; a redrive
starts a new *life* of the work. A case ends once per life: with all its records in `record-completed`, in
`case-rejected`, or as a dead letter.

**Versions.** Every message names its writer's schema version, `major.minor`. Within a major version fields are
only added: ignore unknown fields, and expect that fields with a default may be absent.

**Compression.** Producers compress batches with zstd: a consumer's client needs zstd support.

**Time** is Kafka's timestamp; message bodies contain none.
"""

_CURRENT = "current-recipe"
"""The second message type of `recipes`."""


def document(topics: Iterable[Topic]) -> dict[str, Any]:
    """The AsyncAPI document of these topics, as plain data."""
    topics = list(topics)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "ReasonMed as a stream",
            "version": VERSION,
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in topics},
        "operations": {name: operation for topic in topics for name, operation in _operations(topic)},
        "components": {"messages": _messages(topics)},
    }


def _channel(topic: Topic) -> dict[str, Any]:
    kept: dict[str, Any] = {"cleanup.policy": ["compact" if topic.compacted else "delete"]}
    if topic.retention_days is not None:
        kept["retention.ms"] = topic.retention_days * DAY_MS
    return {
        "address": topic.name,
        "description": topic.description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _held(topic)},
        "bindings": {
            "kafka": {"partitions": topic.partitions, "topicConfiguration": kept, "bindingVersion": KAFKA_BINDING}
        },
    }


def _operations(topic: Topic) -> Iterable[tuple[str, dict[str, Any]]]:
    """One operation per writer and reader. `taps` stands for any other consumer group."""
    channel = {"$ref": f"#/channels/{topic.name}"}
    for writer in topic.written_by:
        yield f"{writer}-writes-{topic.name}", {"action": "send", "channel": channel, "tags": [{"name": writer}]}
    for reader in topic.read_by:
        group = {"kafka": {"groupId": {"type": "string", "const": topic.group or reader}}}
        operation = {"action": "receive", "channel": channel, "tags": [{"name": reader}]}
        in_group = not topic.compacted and reader not in ("taps", "command-line")
        yield f"{reader}-reads-{topic.name}", operation | ({"bindings": group} if in_group else {})


def _messages(topics: Collection[Topic]) -> dict[str, Any]:
    by_name = {name: topic for topic in topics for name in _held(topic)}
    return {name: _current() if name == _CURRENT else _message(topic) for name, topic in by_name.items()}


def _held(topic: Topic) -> list[str]:
    return [topic.message, _CURRENT] if topic.message == "recipe" else [topic.message]


def _message(topic: Topic) -> dict[str, Any]:
    if topic.message == "dead_letter":
        return _dead_letter(topic)
    return {
        "title": topic.message,
        "payload": _schema(topic.message),
        "bindings": _key({"type": "string", "description": topic.key}),
        "x-example": {"$ref": f"./examples/{VERSION}/{topic.message}.json"},
    }


def _dead_letter(topic: Topic) -> dict[str, Any]:
    return {
        "title": topic.message,
        "summary": f"The reason is JSON in the header `{DEAD_LETTER_HEADER}`; the original headers are kept.",
        "contentType": "application/octet-stream",
        "headers": {
            "type": "object",
            "required": [DEAD_LETTER_HEADER],
            "properties": {
                DEAD_LETTER_HEADER: {
                    "type": "string",
                    "contentMediaType": "application/json",
                    "description": f"A dead letter as in ./schemas/{VERSION}/dead_letter.json",
                }
            },
        },
        "payload": {"description": "The unchanged bytes of the original message."},
        "bindings": _key({"description": topic.key}),
        "x-header-schema": {"$ref": f"./schemas/{VERSION}/dead_letter.json"},
    }


def _current() -> dict[str, Any]:
    return {
        "title": _CURRENT,
        "summary": f"Under the key `{CURRENT}`: the id of the recipe for new cases.",
        "payload": {"type": "string", "pattern": "^recipe-[0-9a-f]{32}$"},
        "bindings": _key({"type": "string", "const": CURRENT}),
    }


def _schema(message: str) -> dict[str, Any]:
    return {
        "schemaFormat": "application/schema+json;version=draft-2020-12",
        "schema": {"$ref": f"./schemas/{VERSION}/{message}.json"},
    }


def _key(schema: dict[str, Any]) -> dict[str, Any]:
    return {"kafka": {"key": schema, "bindingVersion": KAFKA_BINDING}}
