"""HEAD-QA: `ra` is the aid of the right answer."""

from services.importers.layouts.answers import Said
from services.importers.layouts.layout import Layout

LAYOUT = Layout(
    name="head-qa",
    about="HEAD-QA: ra names the aid of the right answer",
    question=("qtext",),
    options="answers",
    answer=(Said("ra", "label"),),
    tells=frozenset({"qtext", "ra", "answers"}),
    id="qid",
    source="head-qa",
    subject="category",
    example={
        "qid": 1,
        "qtext": "Which vitamin is missing in scurvy?",
        "ra": 3,
        "category": "medicine",
        "answers": [
            {"aid": number, "atext": text}
            for number, text in enumerate(["Vitamin A", "Vitamin B12", "Vitamin C", "Vitamin D"], start=1)
        ],
    },
)
