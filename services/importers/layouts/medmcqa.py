"""MedMCQA: answers count from 1 in the original, from 0 in the Hugging Face copy. A single row does not tell which."""

from services.importers.layouts.answers import Said
from services.importers.layouts.layout import Layout

OPTIONS = (("A", "opa"), ("B", "opb"), ("C", "opc"), ("D", "opd"))

LAYOUT = Layout(
    name="medmcqa",
    about="MedMCQA: opa to opd, and cop, whose base follows from the whole file",
    question=("question",),
    options=OPTIONS,
    answer=(Said("cop", "letter"),),
    tells=frozenset({"question", "opa", "opb", "opc", "opd"}),
    lacks=frozenset({"answer_idx"}),
    id="id",
    source="medmcqa",
    subject="subject_name",
    example={
        "id": "x",
        "question": "Which vitamin is missing in scurvy?",
        "opa": "Vitamin A",
        "opb": "Vitamin B12",
        "opc": "Vitamin C",
        "opd": "Vitamin D",
        "cop": "c",
        "choice_type": "single",
        "exp": None,
        "subject_name": "Biochemistry",
    },
)
