"""MedXpertQA: up to ten options; those with pictures are refused by row."""

from services.importers.layouts.answers import Said
from services.importers.layouts.layout import Layout

LAYOUT = Layout(
    name="medxpertqa",
    about="MedXpertQA: label is the letter",
    question=("question",),
    answer=(Said("label", "letter"),),
    tells=frozenset({"question", "options", "label", "medical_task"}),
    id="id",
    source="medxpertqa",
    subject="body_system",
    example={
        "id": "Text-0",
        "question": "Which vitamin is missing in scurvy?",
        "options": {"A": "Vitamin A", "B": "Vitamin B12", "C": "Vitamin C", "D": "Vitamin D"},
        "label": "C",
        "medical_task": "Diagnosis",
    },
)
