"""KorMedMCQA: A to E, and an answer that counts from 1."""

from services.importers.layouts.answers import Said
from services.importers.layouts.layout import Layout

LAYOUT = Layout(
    name="kormedmcqa",
    about="KorMedMCQA: A to E; answer counts from 1",
    question=("question",),
    options=(("A", "A"), ("B", "B"), ("C", "C"), ("D", "D"), ("E", "E")),
    answer=(Said("answer", "from 1"),),
    tells=frozenset({"question", "A", "B", "answer", "period", "q_number"}),
    source="kormedmcqa",
    subject="subject",
    example={
        "subject": "doctor",
        "year": 2022,
        "period": 1,
        "q_number": 1,
        "question": "Which vitamin is missing in scurvy?",
        "A": "Vitamin A",
        "B": "Vitamin B12",
        "C": "Vitamin C",
        "D": "Vitamin D",
        "E": "Vitamin E",
        "answer": 3,
    },
)
