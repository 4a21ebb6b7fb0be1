"""ARC and OpenBookQA as published: stem and choices within `question`."""

from services.importers.layouts.answers import Said
from services.importers.layouts.layout import Layout

LAYOUT = Layout(
    name="arc",
    about="ARC: question.stem, question.choices, answerKey names the label",
    question=("question.stem",),
    options="question.choices",
    answer=(Said("answerKey"),),
    tells=frozenset({"question.stem", "question.choices", "answerKey"}),
    id="id",
    source="arc",
    example={
        "id": "x",
        "answerKey": "C",
        "question": {
            "stem": "Which vitamin is missing in scurvy?",
            "choices": [
                {"text": text, "label": label}
                for label, text in zip("ABCD", ["Vitamin A", "Vitamin B12", "Vitamin C", "Vitamin D"], strict=True)
            ],
        },
    },
)
