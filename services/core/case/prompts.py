"""Fills prompt templates in one pass, so text of a question is never read as a placeholder."""

import re
from collections.abc import Iterable

from services.contracts.question import Question
from services.core.case.chat import question_text

PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


def render(template: str, **values: str) -> str:
    """The template with each `{name}` replaced by its value. Other braces are unchanged."""
    return PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), template)


def question_block(question: Question) -> str:
    """The question as prompts show it: stem, context if any, lettered options, between tags. Never the gold answer."""
    return f"<question>\n{question_text(question)}\n</question>"


def gold(question: Question) -> str:
    """The gold answer as prompts show it: letter and text."""
    return f"{question.answer}. {question.options[question.answer]}"


def bullets(reasons: Iterable[str]) -> str:
    """Distinct reasons as a bulleted list, in order; a dash if there are none."""
    unique = dict.fromkeys(" ".join(reason.split()) for reason in reasons)
    return "\n".join(f"- {reason}" for reason in unique if reason) or "-"
