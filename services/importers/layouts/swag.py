"""MedQA in the form of SWAG, as for multiple-choice heads: endings are numbered from 0 by their names."""

from services.importers.layouts.answers import Said
from services.importers.layouts.layout import Layout

LAYOUT = Layout(
    name="swag",
    about="sent1, ending0 to ending3, label from 0",
    question=("sent1", "sent2"),
    options=(("0", "ending0"), ("1", "ending1"), ("2", "ending2"), ("3", "ending3"), ("4", "ending4")),
    answer=(Said("label", "from 0"),),
    tells=frozenset({"sent1", "ending0", "ending1", "label"}),
    id="id",
    example={
        "id": "train-0",
        "sent1": "Which vitamin is missing in scurvy?",
        "sent2": "",
        "ending0": "Vitamin A",
        "ending1": "Vitamin B12",
        "ending2": "Vitamin C",
        "ending3": "Vitamin D",
        "label": 2,
    },
)
