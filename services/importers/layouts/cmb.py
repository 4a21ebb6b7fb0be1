"""CMB: options under `option`; questions with several answers are refused by row."""

from services.importers.layouts.answers import Said
from services.importers.layouts.layout import Layout

LAYOUT = Layout(
    name="cmb",
    about="CMB: option is an object by letter, answer a letter or several",
    question=("question",),
    options="option",
    answer=(Said("answer", "letter"),),
    tells=frozenset({"question", "option", "answer", "exam_type"}),
    id="id",
    source="cmb",
    subject="exam_subject",
    example={
        "exam_type": "x",
        "exam_subject": "x",
        "question": "Which vitamin is missing in scurvy?",
        "option": {"A": "Vitamin A", "B": "Vitamin B12", "C": "Vitamin C", "D": "Vitamin D"},
        "answer": "C",
    },
)
