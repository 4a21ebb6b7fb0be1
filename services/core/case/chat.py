"""The chat prompt of a question, for training, benchmarks and inference. Pure.

Training data and benchmarks must render a question with the same function: otherwise a benchmark also measures the
difference between the prompts.
"""

from collections.abc import Sequence

from services.contracts.question import Question

ChatMessage = dict[str, str]
"""`role` (system, user or assistant) and `content`."""


def question_text(question: Question) -> str:
    """Stem, context if any, and lettered options. Never the gold answer."""
    lines = [question.question]
    if question.context:
        lines += ["", "Context:", *question.context]
    lines += ["", *(f"{letter}. {text}" for letter, text in question.options.items())]
    return "\n".join(lines)


def chat_prompt(question: Question, *, system: str | None = None) -> list[ChatMessage]:
    """The messages before the model's turn: a system message if there is a system prompt, then the question."""
    before: Sequence[ChatMessage] = () if system is None else ({"role": "system", "content": system},)
    return [*before, {"role": "user", "content": question_text(question)}]
