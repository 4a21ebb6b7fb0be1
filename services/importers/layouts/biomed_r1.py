"""BioMed-R1: MedQA's fields with the options as the text of a Python literal."""

from services.importers.layouts.answers import Said
from services.importers.layouts.layout import Layout

LAYOUT = Layout(
    name="biomed-r1",
    about="BioMed-R1: options are a Python literal",
    question=("question",),
    answer=(Said("answer_idx"), Said("answer")),
    tells=frozenset({"question", "options", "answer_idx", "dataset_name"}),
    id="id",
    source="biomed-r1",
    subject="dataset_name",
    example={
        "id": "1",
        "question": "Which vitamin is missing in scurvy?",
        "answer": "Vitamin C",
        "answer_idx": "C",
        "dataset_name": "medqa",
        "options": "{'A': 'Vitamin A', 'B': 'Vitamin B12', 'C': 'Vitamin C', 'D': 'Vitamin D'}",
    },
)
