"""BioASQ: yes-or-no questions; factoids, lists and summaries have no options. Snippets are left out."""

from services.importers.layouts.answers import Said
from services.importers.layouts.layout import Layout

LAYOUT = Layout(
    name="bioasq",
    about="BioASQ: questions of type yesno; the others have no options",
    question=("body",),
    fixed=("yes", "no"),
    answer=(Said("exact_answer", "text"),),
    tells=frozenset({"body", "type"}),
    id="id",
    source="bioasq",
    example={"id": "5", "body": "Do lemons prevent scurvy?", "type": "yesno", "exact_answer": "no"},
    letter="B",
)
