"""proto/asyncapi.yaml is valid AsyncAPI 3.0, and agrees with topics.yaml on every topic.

tests/data/asyncapi-3.0.0.schema.json.gz: the schema as published in @asyncapi/specs 6.11.1 (Apache-2.0), unchanged.
"""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator, Draft202012Validator

from services.contracts.topics import Topic, topics
from services.protogen.asyncapi import document

ROOT = Path(__file__).parents[2]
PROTO = ROOT / "proto"


@pytest.fixture(scope="module")
def committed() -> Any:
    return yaml.safe_load((PROTO / "asyncapi.yaml").read_text())


@pytest.fixture(scope="module")
def standard() -> Draft7Validator:
    schema = gzip.decompress((ROOT / "tests/data/asyncapi-3.0.0.schema.json.gz").read_bytes())
    return Draft7Validator(json.loads(schema))


def test_it_is_asyncapi(committed: Any, standard: Draft7Validator) -> None:
    assert [error.message for error in standard.iter_errors(committed)] == []


@pytest.mark.parametrize(
    ("where", "wrong"),
    [("action", "writes"), ("bindings", {"kafka": {"bindingVersion": "0.5.0", "groupId": 3}}), ("topic", "x")],
)
def test_the_schema_rejects_wrong_documents(committed: Any, standard: Draft7Validator, where: str, wrong: Any) -> None:
    """Shows that the test above can fail: the schema covers operations and their bindings."""
    operation = committed["operations"]["generator-reads-question-admitted"]
    broken = {**committed, "operations": {"one": {**operation, where: wrong}}}
    assert not standard.is_valid(broken)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (reference for key, reference in value.items() if key == "$ref")
        yield from (found for item in value.values() for found in references(item))
    elif isinstance(value, list):
        yield from (found for item in value for found in references(item))


def test_every_reference_has_a_target(committed: Any) -> None:
    for reference in references(committed):
        file, _, pointer = reference.partition("#")
        found = committed if not file else json.loads((PROTO / file).read_text())
        for part in pointer.split("/")[1:]:
            found = found[part]
        assert found


def payload(committed: Any, message: str) -> Any:
    schema = committed["components"]["messages"][message]["payload"]
    return json.loads((PROTO / schema["schema"]["$ref"]).read_text()) if "schema" in schema else schema


@pytest.mark.parametrize("name", topics())
def test_channels_match_the_declared_topics(committed: Any, name: str) -> None:
    topic, channel = topics()[name], committed["channels"][name]
    kafka = channel["bindings"]["kafka"]
    retention_ms = kafka["topicConfiguration"].get("retention.ms")
    assert (channel["description"], kafka["partitions"]) == (topic.description, topic.partitions)
    assert (None if retention_ms is None else retention_ms / 86_400_000) == topic.retention_days
    assert (kafka["topicConfiguration"]["cleanup.policy"] == ["compact"]) == topic.compacted
    reads = {
        (operation["action"], operation["tags"][0]["name"])
        for operation in committed["operations"].values()
        if operation["channel"]["$ref"] == f"#/channels/{name}"
    }
    assert reads == {("send", who) for who in topic.written_by} | {("receive", who) for who in topic.read_by}


@pytest.mark.parametrize("name", topics())
def test_the_golden_example_is_a_message_of_its_topic(committed: Any, name: str) -> None:
    message = committed["components"]["messages"][topics()[name].message]
    if "x-example" in message:
        example = json.loads((PROTO / message["x-example"]["$ref"]).read_text())
        Draft202012Validator(payload(committed, topics()[name].message)).validate(example)
    else:
        assert "dead-letter" in message["headers"]["required"]


def test_the_current_recipe_is_a_message_of_recipes(committed: Any) -> None:
    assert list(committed["channels"]["recipes"]["messages"]) == ["recipe", "current-recipe"]
    assert Draft202012Validator(payload(committed, "current-recipe")).is_valid("recipe-" + "0" * 32)


def test_topics_of_one_message_share_its_key() -> None:
    """A message is documented once, with its key."""
    keys = {topic.message: {other.key for other in topics().values() if other.message == topic.message}
            for topic in topics().values()}  # fmt: skip
    assert {message: len(found) for message, found in keys.items()} == dict.fromkeys(keys, 1)


def test_a_group_with_another_name_is_documented() -> None:
    topic = Topic(name="a-b", description="", message="case", written_by=("x",), read_by=("y", "taps"), group="g",
                  partitions=1, retention_days=30)  # fmt: skip
    operations = document([topic])["operations"]
    assert operations["y-reads-a-b"]["bindings"] == {"kafka": {"groupId": {"type": "string", "const": "g"}}}
    assert "bindings" not in operations["taps-reads-a-b"], "taps have a group of their own"
