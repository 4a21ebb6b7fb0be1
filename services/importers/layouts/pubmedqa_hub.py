"""PubMedQA from the Hub: passages within `context`."""

from services.importers.layouts.answers import Said
from services.importers.layouts.layout import Layout

LAYOUT = Layout(
    name="pubmedqa-hub",
    about="PubMedQA from the Hub: yes, no or maybe; passages in context.contexts",
    question=("question",),
    fixed=("yes", "no", "maybe"),
    answer=(Said("final_decision", "text"),),
    tells=frozenset({"question", "context.contexts", "final_decision"}),
    context="context.contexts",
    id="pubid",
    source="pubmedqa",
    example={
        "pubid": 1,
        "question": "Do lemons prevent scurvy?",
        "context": {"contexts": ["Sailors fell ill."]},
        "long_answer": "",
        "final_decision": "maybe",
    },
)
