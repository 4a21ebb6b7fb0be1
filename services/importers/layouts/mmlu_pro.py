"""MMLU-Pro: up to ten options, filled up with N/A."""

from services.importers.layouts.answers import Said
from services.importers.layouts.layout import Layout

LAYOUT = Layout(
    name="mmlu-pro",
    about="MMLU-Pro: answer is the letter, answer_index counts from 0; N/A fills the options up",
    question=("question",),
    answer=(Said("answer"), Said("answer_index", "from 0")),
    tells=frozenset({"question", "options", "answer", "answer_index", "category"}),
    padding=frozenset({"N/A"}),
    id="question_id",
    source="mmlu-pro",
    subject="category",
    example={
        "question_id": 1,
        "question": "Which vitamin is missing in scurvy?",
        "options": [*["Vitamin A", "Vitamin B12", "Vitamin C", "Vitamin D"], "N/A", "N/A"],
        "answer": "C",
        "answer_index": 2,
        "category": "health",
    },
)
