"""MMLU's CSV: no header, question, four options, letter; the subject is in the file's name."""

from services.importers.layouts.answers import Said
from services.importers.layouts.layout import Layout

LAYOUT = Layout(
    name="mmlu",
    about="MMLU's CSV without a header: question, four options, letter",
    question=("question",),
    options=(("A", "A"), ("B", "B"), ("C", "C"), ("D", "D")),
    answer=(Said("answer", "letter"),),
    tells=frozenset({"cells"}),
    cells=("question", "A", "B", "C", "D", "answer"),
    source="mmlu",
    example=["Which vitamin is missing in scurvy?", "Vitamin A", "Vitamin B12", "Vitamin C", "Vitamin D", "C"],
)
