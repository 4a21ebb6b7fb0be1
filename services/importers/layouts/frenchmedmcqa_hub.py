"""FrenchMedMCQA from the Hub: a column for each option, answers as class labels that count from 0."""

from services.importers.layouts.answers import Said
from services.importers.layouts.layout import Layout

LAYOUT = Layout(
    name="frenchmedmcqa-hub",
    about="FrenchMedMCQA from the Hub: answer_a to answer_e, correct_answers count from 0",
    question=("question",),
    options=tuple((letter, f"answer_{letter}") for letter in "abcde"),
    answer=(Said("correct_answers", "from 0"),),
    tells=frozenset({"question", "answer_a", "answer_b", "correct_answers", "number_correct_answers"}),
    id="id",
    source="frenchmedmcqa",
    example={
        "id": "x",
        "question": "Which vitamin is missing in scurvy?",
        "answer_a": "Vitamin A",
        "answer_b": "Vitamin B12",
        "answer_c": "Vitamin C",
        "answer_d": "Vitamin D",
        "answer_e": "Vitamin E",
        "correct_answers": [2],
        "number_correct_answers": 0,
    },
)
