"""The `qa` form of bigbio: MedQA, PubMedQA, BioASQ and others; the answer is a list of texts."""

from services.importers.layouts.answers import Said
from services.importers.layouts.layout import Layout

LAYOUT = Layout(
    name="bigbio-qa",
    about="bigbio's qa form: choices are a list, answer is a list of texts",
    question=("question",),
    options="choices",
    answer=(Said("answer", "text"),),
    tells=frozenset({"question", "document_id", "type", "choices", "answer"}),
    context="context",
    id="id",
    example={
        "id": "0",
        "question_id": "0",
        "document_id": "0",
        "question": "Which vitamin is missing in scurvy?",
        "type": "multiple_choice",
        "choices": ["Vitamin A", "Vitamin B12", "Vitamin C", "Vitamin D"],
        "context": "",
        "answer": ["Vitamin C"],
    },
)
