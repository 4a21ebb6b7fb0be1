"""What the OpenAPI document says beyond what the types say."""

from typing import Any

from services.contracts.question import Question
from services.gateway.http.refusals import Refusal
from services.gateway.read.events import MEDIA_TYPE

Responses = dict[int | str, dict[str, Any]]

NDJSON = "application/x-ndjson"

EXAMPLE = {
    "question": "Which vitamin deficiency causes scurvy?",
    "options": {"A": "Vitamin A", "B": "Vitamin B12", "C": "Vitamin C", "D": "Vitamin D"},
    "answer": "C",
    "source": "our-question-bank",
    "id": "0042",
    "subject": "Nutrition",
}
_CASE = "case-0123456789abcdef0123456789abcdef"
_LINE = '{"question": "Which vitamin deficiency causes scurvy?", "options": {"A": "A", "B": "C"}, "answer": "B"}\n'
_TOLD = (
    '{"line": 17, "error": "This is no question; the fields say why.", '
    '"fields": [{"field": "answer", "why": "Field required"}]}\n'
    '{"accepted": 99999, "refused": 1, "accepted_through": 100000, "stopped": null}\n'
)
_ALL_TAKEN = '{"accepted": 100000, "refused": 0, "accepted_through": 100000, "stopped": null}\n'

DESCRIPTION = """
Medical multiple-choice questions go in here and become verified chains of thought. Where each of them stands, and what
became of it, can be read here too.

**Handing in.** What is acknowledged, Kafka holds. Whatever isn't, you can't rely on: send it again. That is always
safe, since the same question has the same case id and is worked on once.

**Reading.** Where cases stand is told by the monitor, which reads along: a case that was handed in just now may take a
second to appear. Streams are server-sent events: `curl -N`; in a browser `EventSource`, or, where keys are set, `fetch`
(an EventSource sends none).

**Keys.** Where this deployment has set API keys, everything but `operation` needs one: `Authorization: Bearer KEY`.
"""

TAGS = [
    {"name": "questions", "description": "Hand in questions: one, an array, or lines without end."},
    {"name": "cases", "description": "Where each case stands, what became of it, and how it came about."},
    {"name": "figures", "description": "The whole stream at a glance."},
    {"name": "operation", "description": "For Kubernetes and Prometheus. Needs no key."},
]

QUESTIONS_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "One question, an array of them, or one on each line.",
        "content": {
            "application/json": {
                "schema": {
                    "anyOf": [
                        Question.model_json_schema(),
                        {
                            "type": "array",
                            "description": "1 to 1,000 questions, 4 MiB at most.",
                            "items": {"type": "object"},
                            "minItems": 1,
                            "maxItems": 1_000,
                        },
                    ]
                },
                "examples": {
                    "one": {"summary": "One question", "value": EXAMPLE},
                    "many": {
                        "summary": "An array, of which one is refused",
                        "value": [EXAMPLE, EXAMPLE | {"answer": "Q"}],
                    },
                },
            },
            NDJSON: {
                "schema": {"type": "string", "description": "A question on each line; any number of lines."},
                "example": _LINE,
            },
        },
    }
}


def retry_later(description: str) -> dict[str, Any]:
    """A 503."""
    return {
        "model": Refusal,
        "description": description,
        "headers": {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}},
    }


def _with_lines(response: dict[str, Any]) -> dict[str, Any]:
    """The same for lines: a body that was not read to its end is answered so too."""
    told = {"schema": {"type": "string"}, "example": _TOLD.replace("null", '"Why the rest was not taken."')}
    return {**response, "content": {NDJSON: told}}


def _refused(description: str) -> dict[str, Any]:
    return {"model": Refusal, "description": description}


QUESTIONS_RESPONSES: Responses = {
    202: {
        "description": "Kafka holds every question.",
        "content": {
            "application/json": {
                "examples": {
                    "one": {"summary": "Of one question", "value": {"case_id": _CASE}},
                    "many": {
                        "summary": "Of an array",
                        "value": {"accepted": 1, "refused": 0, "results": [{"index": 0, "case_id": _CASE}]},
                    },
                }
            },
            NDJSON: {"schema": {"type": "string"}, "example": _ALL_TAKEN},
        },
    },
    207: {
        "description": "Of an array or of lines, Kafka holds those that are not refused here; each refusal says which "
        "field of which line is wrong, and why.",
        "content": {NDJSON: {"schema": {"type": "string"}, "example": _TOLD}},
    },
    400: _with_lines(_refused("The body ended early.")),
    408: _with_lines(_refused("The body, or the next of its lines, came too slowly.")),
    413: _with_lines(
        _refused(
            "A question is larger than 256 KiB, an array than 4 MiB; or of lines so many are refused that the "
            "answer has become too long."
        )
    ),
    415: _refused("Neither application/json nor application/x-ndjson; or compressed."),
    422: _refused("Not a question, or no array of any: `fields` lists each field and what is wrong with it."),
    503: _with_lines(retry_later("Kafka is away, the gateway busy, or about to end: send again.")),
}

NO_KEY: Responses = {401: _refused("This deployment asks for an API key: none, or a wrong one.")}

NOT_UNDERSTOOD: Responses = {422: _refused("The request is not understood: `fields` says why.")}
UNKNOWN: Responses = {404: _refused("No such case. One handed in just now may not have been seen yet.")}
AWAY: Responses = {503: retry_later("What is needed to answer is away, or the gateway busy: try again.")}


def events(description: str, example: str) -> dict[str, Any]:
    """A 200 that goes on."""
    fields = {"event": {"type": "string"}, "data": {"type": "string", "description": "JSON."}}
    schema = {"type": "object", "description": "Each event.", "properties": fields}
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema, "example": example}}}
