"""Names that a command line needs before anything is loaded: forms of a row, and variants of an answer."""

from typing import Literal, get_args

RecordForm = Literal["messages", "prompt-completion", "sharegpt", "alpaca", "think", "rl", "prm"]
PathForm = Literal["dpo", "kto", "verifier"]
Form = Literal[RecordForm, PathForm]

OF_PATHS: tuple[PathForm, ...] = get_args(PathForm)
"""Forms made from every judged path; the others are made from records."""

WITH_VARIANT: tuple[Form, ...] = ("messages", "prompt-completion", "sharegpt", "alpaca")
"""Forms whose answer is one of the three variants. The others have an answer of their own, or none."""

Variant = Literal["CoTMed", "ResponseMed", "ReasonMed"]


def counted(form: Form) -> str:
    """What an export of this form counts."""
    return {"dpo": "pairs", "kto": "paths", "verifier": "paths"}.get(form, "records")


def path_form(form: Form) -> PathForm | None:
    """The form, if it is made from paths."""
    return next((each for each in OF_PATHS if each == form), None)
