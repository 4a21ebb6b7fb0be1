"""The JSON Schema of each message, generated from its type, for readers in any language."""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from services.contracts.base import VERSION, Message, Value
from services.contracts.case import Case, Path, Score, Verdict
from services.contracts.dead import DeadLetter
from services.contracts.question import Question, Submission
from services.contracts.recipe import Recipe
from services.contracts.record import Record
from services.contracts.redriven import Redriven
from services.contracts.refused import Refused

MESSAGES: dict[str, type[Value]] = {
    "question": Question,
    "submission": Submission,
    "case": Case,
    "path": Path,
    "verdict": Verdict,
    "score": Score,
    "record": Record,
    "recipe": Recipe,
    "dead_letter": DeadLetter,
    "redriven": Redriven,
    "refused": Refused,
}
"""All types with a schema and an example of their own, by their name in topics.yaml: the topics' messages, and parts
that are documented separately."""


def json_schema(name: str) -> dict[str, Any]:
    """The schema (draft 2020-12) that readers accept: fields with a default may be absent, others may be added."""
    kind = MESSAGES[name]
    schema = kind.model_json_schema(schema_generator=_Generator)
    if issubclass(kind, Message):  # the default is for writers in Python; readers must find the field
        del schema["properties"]["version"]["default"]
        schema["required"] = ["version", *schema["required"]]
    return {
        "$schema": _Generator.schema_dialect,
        "$comment": f"Generated from services.contracts ({kind.__name__}), version {VERSION}: do not edit.",
        "x-version": VERSION,
        **schema,
    }


class _Generator(GenerateJsonSchema):
    """Pydantic's generator without redundant output: titles equal to field names, defaults of nested objects."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        if isinstance(made.get("default"), dict):
            del made["default"]
        return made
