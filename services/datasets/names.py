"""Names that a command line needs before anything is loaded: forms of a row, and variants of an answer."""

from typing import Literal

Form = Literal["messages", "prompt-completion", "sharegpt", "alpaca", "think", "rl", "prm"]

WITH_VARIANT: tuple[Form, ...] = ("messages", "prompt-completion", "sharegpt", "alpaca")
"""Forms whose answer is one of the three variants. The others have an answer of their own, or none."""

Variant = Literal["CoTMed", "ResponseMed", "ReasonMed"]
