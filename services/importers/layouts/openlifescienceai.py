"""The nested form of openlifescienceai: MedQA, MedMCQA, MMLU and PubMedQA under `data`."""

from services.importers.layouts.answers import Said
from services.importers.layouts.layout import Layout

LAYOUT = Layout(
    name="openlifescienceai",
    about="openlifescienceai: everything within data; Correct Option is the letter, Correct Answer its text",
    question=("data.Question",),
    options="data.Options",
    answer=(Said("data.Correct Option"), Said("data.Correct Answer", "text")),
    tells=frozenset({"data.Question", "data.Options", "data.Correct Option"}),
    context="data.Context",
    id="id",
    subject="subject_name",
    example={
        "id": "u1",
        "subject_name": None,
        "data": {
            "Question": "Which vitamin is missing in scurvy?",
            "Options": {"A": "Vitamin A", "B": "Vitamin B12", "C": "Vitamin C", "D": "Vitamin D"},
            "Correct Option": "C",
            "Correct Answer": "Vitamin C",
        },
    },
)
