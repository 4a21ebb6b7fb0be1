"""FrenchMedMCQA: options by small letter; questions with several answers are refused by row."""

from services.importers.layouts.answers import Said
from services.importers.layouts.layout import Layout

LAYOUT = Layout(
    name="frenchmedmcqa",
    about="FrenchMedMCQA: answers by letter, correct_answers is a list",
    question=("question",),
    options="answers",
    answer=(Said("correct_answers", "letter"),),
    tells=frozenset({"question", "answers", "correct_answers"}),
    id="id",
    source="frenchmedmcqa",
    subject="subject_name",
    example={
        "id": "x",
        "question": "Which vitamin is missing in scurvy?",
        "correct_answers": ["c"],
        "answers": {"a": "Vitamin A", "b": "Vitamin B12", "c": "Vitamin C", "d": "Vitamin D", "e": "Vitamin E"},
    },
)
