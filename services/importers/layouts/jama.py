"""JAMA Clinical Challenge: MedBullets' fields with diagnosis and field."""

from services.importers.layouts.answers import Said
from services.importers.layouts.layout import Layout

LAYOUT = Layout(
    name="jama",
    about="JAMA-style: opa to ope, diagnosis, answer_idx is the letter",
    question=("question",),
    options=(("A", "opa"), ("B", "opb"), ("C", "opc"), ("D", "opd"), ("E", "ope")),
    answer=(Said("answer_idx"), Said("answer")),
    tells=frozenset({"question", "opa", "opb", "answer_idx", "diagnosis"}),
    lacks=frozenset({"cop"}),
    id="link",
    source="jama",
    subject="field",
    example={
        "link": "x",
        "question": "Which vitamin is missing in scurvy?",
        "opa": "Vitamin A",
        "opb": "Vitamin B12",
        "opc": "Vitamin C",
        "opd": "Vitamin D",
        "ope": "Vitamin E",
        "diagnosis": "",
        "answer_idx": "C",
        "answer": "Vitamin C",
        "field": "x",
    },
)
