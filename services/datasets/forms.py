"""What a row holds: a variant of the answer in a trainer's form, and the record's lineage. As SQL over parts."""

from typing import Literal

Variant = Literal["CoTMed", "ResponseMed", "ReasonMed"]
Form = Literal["alpaca", "sharegpt", "messages"]

_PROMPT = """question
    || CASE WHEN len(context) > 0 THEN E'\\n\\nContext:\\n' || array_to_string(context, E'\\n') ELSE '' END
    || E'\\n\\n' || array_to_string([option.letter || '. ' || option.text FOR option IN options], E'\\n')"""
"""The question as the generator's models saw it (core.prompts.question_block), without the tags around it."""

_ANSWERS: dict[Variant, str] = {
    "CoTMed": "chain",
    "ResponseMed": "summary",
    "ReasonMed": "chain || E'\\n\\n' || summary",
}

_FORMS: dict[Form, tuple[str, ...]] = {
    "alpaca": ("prompt AS instruction", "'' AS input", "answered AS output"),
    "sharegpt": ("[{'from': 'human', 'value': prompt}, {'from': 'gpt', 'value': answered}] AS conversations",),
    "messages": ("[{'role': 'user', 'content': prompt}, {'role': 'assistant', 'content': answered}] AS messages",),
}

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
"""The parts' flat columns that say where a record comes from and how good it was found. What is nested (calls, tokens
and costs by stage) stays in the parts, under the same record id."""


def shaped(variant: Variant, form: Form, *, lineage: bool, chosen: str) -> str:
    """The query for the rows of a dataset, out of the query for the chosen records. Its first two columns, `key` and
    `split`, are for whoever sorts and splits; they are no part of a row."""
    columns = ("record_id AS key", "split", *_FORMS[form], *(LINEAGE if lineage else ()))
    return f"""
        SELECT {", ".join(columns)}
        FROM (SELECT *, {_PROMPT} AS prompt, {_ANSWERS[variant]} AS answered FROM ({chosen}))
    """  # noqa: S608 - of this module's constants
