"""MedBullets with four or five options."""

from services.importers.layouts.answers import Said
from services.importers.layouts.layout import Layout

LAYOUT = Layout(
    name="medbullets",
    about="MedBullets: opa to ope, answer_idx is the letter, answer its text",
    question=("question",),
    options=(("A", "opa"), ("B", "opb"), ("C", "opc"), ("D", "opd"), ("E", "ope")),
    answer=(Said("answer_idx"), Said("answer")),
    tells=frozenset({"question", "opa", "opb", "answer_idx"}),
    lacks=frozenset({"cop", "diagnosis"}),
    id="link",
    source="medbullets",
    example={
        "link": "x",
        "question": "Which vitamin is missing in scurvy?",
        "opa": "Vitamin A",
        "opb": "Vitamin B12",
        "opc": "Vitamin C",
        "opd": "Vitamin D",
        "answer_idx": "C",
        "answer": "Vitamin C",
        "explanation": "",
    },
)
