"""PubMedQA as published: each entry under its PMID, or in a row of its own."""

from services.importers.layouts.answers import Said
from services.importers.layouts.layout import Layout

LAYOUT = Layout(
    name="pubmedqa",
    about="PubMedQA: yes, no or maybe; the abstract is the context, LONG_ANSWER is left out: it gives the answer away",
    question=("QUESTION",),
    fixed=("yes", "no", "maybe"),
    answer=(Said("final_decision", "text"),),
    tells=frozenset({"QUESTION", "CONTEXTS"}),
    context="CONTEXTS",
    source="pubmedqa",
    example={"QUESTION": "Do lemons prevent scurvy?", "CONTEXTS": ["Sailors fell ill."], "final_decision": "maybe"},
)
