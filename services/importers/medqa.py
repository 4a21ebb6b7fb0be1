"""MedQA: a JSON object a line, of four or five options; `answer` is the text, `answer_idx` the letter. Pure."""

from typing import Any

from services.importers.rows import Fields, Unfit


def recognises(row: Any) -> bool:
    """Whether the row is MedQA's."""
    return isinstance(row, dict) and {"question", "options", "answer_idx"} <= row.keys()


def parse(row: Any) -> Fields:
    """The question of a row. Letter and text of the answer must agree: if not, nobody knows which is wrong."""
    if not isinstance(row, dict):
        raise Unfit("row", "a row is a JSON object, this is not")
    options, letter, text = row.get("options"), row.get("answer_idx"), row.get("answer")
    if not isinstance(options, dict):
        raise Unfit("options", "an object of texts by letter is wanted")
    options = {name: option for name, option in options.items() if option is not None}
    if not isinstance(letter, str) or letter not in options:
        raise Unfit("answer_idx", f"must be one of {', '.join(options)}")
    if text is not None and text != options[letter]:
        raise Unfit("answer", f"is not the text of option {letter}, which answer_idx names")
    return {"question": row.get("question"), "options": options, "answer": letter, "source": "medqa"}
