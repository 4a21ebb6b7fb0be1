"""CMExam: options as one text, a line each."""

from services.importers.layouts.answers import Said
from services.importers.layouts.layout import Layout

LAYOUT = Layout(
    name="cmexam",
    about="CMExam: Options are one text, a line each; Answer is a letter or several",
    question=("Question",),
    options="Options",
    answer=(Said("Answer", "letter"),),
    tells=frozenset({"Question", "Options", "Answer"}),
    source="cmexam",
    example={
        "Question": "Which vitamin is missing in scurvy?",
        "Options": "A Vitamin A\nB Vitamin B12\nC Vitamin C",
        "Answer": "C",
    },
)
