"""MedQA by jind11 and GBaker, and the `source` form of bigbio."""

from services.importers.layouts.answers import Said
from services.importers.layouts.layout import Layout

LAYOUT = Layout(
    name="medqa",
    about="MedQA: answer_idx is the letter, answer its text",
    question=("question",),
    answer=(Said("answer_idx"), Said("answer")),
    tells=frozenset({"question", "options", "answer_idx"}),
    lacks=frozenset({"dataset_name"}),
    source="medqa",
    example={
        "question": "Which vitamin is missing in scurvy?",
        "options": {"A": "Vitamin A", "B": "Vitamin B12", "C": "Vitamin C", "D": "Vitamin D"},
        "answer": "Vitamin C",
        "answer_idx": "C",
    },
)
