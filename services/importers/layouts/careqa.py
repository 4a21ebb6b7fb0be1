"""CareQA: op1 to op4, and cop, which counts from 1."""

from services.importers.layouts.answers import Said
from services.importers.layouts.layout import Layout

LAYOUT = Layout(
    name="careqa",
    about="CareQA: op1 to op4; cop counts from 1",
    question=("question",),
    options=(("1", "op1"), ("2", "op2"), ("3", "op3"), ("4", "op4"), ("5", "op5")),
    answer=(Said("cop", "from 1"),),
    tells=frozenset({"question", "op1", "op2", "cop"}),
    id="unique_id",
    source="careqa",
    subject="category",
    example={
        "unique_id": "x",
        "question": "Which vitamin is missing in scurvy?",
        "op1": "Vitamin A",
        "op2": "Vitamin B12",
        "op3": "Vitamin C",
        "op4": "Vitamin D",
        "cop": 3,
        "category": "Medicine",
    },
)
