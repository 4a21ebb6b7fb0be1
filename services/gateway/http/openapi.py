"""The parts of the OpenAPI document that the types do not contain."""

from typing import Any

from services.contracts.question import Question
from services.gateway.http.refusals import Refusal

Responses = dict[int | str, dict[str, Any]]

JSON = "application/json"
NDJSON = "application/x-ndjson"
EVENT_STREAM = "text/event-stream"

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
_LINES = (
    '{"line": 17, "error": "Not a valid question; see the fields.", '
    '"fields": [{"field": "answer", "why": "Field required"}]}\n'
    '{"accepted": 99999, "refused": 1, "accepted_through": 100000, "stopped": null}\n'
)
_ALL_TAKEN = '{"accepted": 100000, "refused": 0, "accepted_through": 100000, "stopped": null}\n'

DESCRIPTION = """
Submit medical multiple-choice questions, and read the status and the results of their cases.

**Submitting.** Kafka holds every acknowledged question. Send the others again: that is always safe, since the same
question has the same case id and is processed once.

**Reading.** The monitor provides the status of cases: a new case may take a second to appear. Streams are server-sent
events: `curl -N`; in a browser `EventSource`, or `fetch` where keys are set (an EventSource sends none).

**Keys.** Where this deployment has API keys, everything but `operation` needs one: `Authorization: Bearer KEY`.
"""

TAGS = [
    {"name": "questions", "description": "Submit questions: one, an array, or a body of lines."},
    {"name": "cases", "description": "The status, results and history of each case."},
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
    """The response with NDJSON lines, which an incompletely read body gets too."""
    lines = {"schema": {"type": "string"}, "example": _LINES.replace("null", '"Why the rest was not read."')}
    return {**response, "content": {NDJSON: lines}}


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
        "description": "Kafka holds the questions that are not refused here; a refusal has line, field and reason.",
        "content": {NDJSON: {"schema": {"type": "string"}, "example": _LINES}},
    },
    400: _with_lines(_refused("The body ended early.")),
    408: _with_lines(_refused("The body, or its next line, was too slow.")),
    413: _with_lines(
        _refused(
            "A question is larger than 256 KiB, an array larger than 4 MiB; or so many lines are refused that the "
            "response is too long."
        )
    ),
    415: _refused("Neither application/json nor application/x-ndjson; or compressed."),
    422: _refused("Not a valid question or array: `fields` lists each invalid field with the reason."),
    503: _with_lines(retry_later("Kafka is unavailable, or the gateway is busy or stopping: send again.")),
}

NO_KEY: Responses = {401: _refused("An API key is needed: it is missing or invalid.")}

NOT_UNDERSTOOD: Responses = {422: _refused("The request is invalid: `fields` has the reasons.")}
UNKNOWN: Responses = {404: _refused("No such case. A new one may take a second to appear.")}
AWAY: Responses = {503: retry_later("A dependency is unavailable, or the gateway is busy: try again.")}


def as_json(responses: Responses) -> Responses:
    """The same refusals, as JSON, on a route whose other responses are events."""
    schema = {"$ref": "#/components/schemas/Refusal"}
    return {
        status: {
            **{name: value for name, value in response.items() if name != "model"},
            "content": {JSON: {"schema": schema}},
        }
        for status, response in responses.items()
    }


def events(description: str, example: str) -> dict[str, Any]:
    """A 200 with an event stream, whose schema FastAPI adds."""
    return {"description": description, "content": {EVENT_STREAM: {"example": example}}}
