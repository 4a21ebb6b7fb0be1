"""Finds identifiers of persons in a question: those of HIPAA's list that have a pattern. Nothing leaves the process.

E-mail addresses, phone numbers and U.S. social security numbers are found by datafog, by patterns alone; numbers of
records and accounts, dates of birth and street addresses, which it lacks, here. A date or a number alone is none of
these: exam vignettes are full of ages, doses and lab values. Names are not found.
"""

import re
from collections.abc import Iterator
from typing import Final

from datafog.processing.text_processing.regex_annotator import RegexAnnotator

from services.contracts.question import Question

LIBRARY: Final = {"EMAIL": "e-mail address", "PHONE": "phone number", "SSN": "social security number"}
"""datafog's labels that are used. Its DOB is any date and its ZIP any number of five digits."""
_MONTH: Final = (
    "(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|"
    r"Nov(?:ember)?|Dec(?:ember)?)\.?"
)
_DATE: Final = (
    r"(?:\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}|\d{4}[/.-]\d{1,2}[/.-]\d{1,2}|"
    rf"{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+\d{{4}}|\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH},?\s+\d{{4}})"
)
_RECORD: Final = (
    r"MRN|SSN?|(?:pt|patient|member)\.?\s+ID|(?:social\s+security|(?:medical\s+)?record|med\.?\s*rec\.?|hospital|chart|"
    r"patient|NHS|account|beneficiary|encounter)\s*\(?\s*(?:no\b\.?|numbers?\b|\#)"
)
_STREET: Final = (
    "Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Way|Parkway|Pkwy|Terrace|Place|Pl|Square|Sq|"
    "Circle|Crescent|Highway|Hwy"
)
PATTERNS: Final = {
    "record number": re.compile(
        rf"\b(?:{_RECORD})(?:\s+is)?\s{{0,3}}[:\#=]?\s{{0,3}}(?=(?:[A-Z -]{{0,3}}\d){{3}})",
        re.IGNORECASE,
    ),
    "date of birth": re.compile(
        r"\b(?:d\.?\s?o\.?\s?b\b\.?|born\b|birth\s?date\b|date\s+of\s+birth\b)"
        rf"(?:\s?\([^)\n]{{0,20}}\)|\s+(?:is|was|on|the)\b|[\s:=,)]){{0,6}}\s{{0,3}}{_DATE}",
        re.IGNORECASE,
    ),
    "address": re.compile(
        r"\b\d{1,5}\s+(?:[NSEW]\.?\s+)?(?:(?:[A-Z][a-z'’]{1,30}|\d{1,3}(?:st|nd|rd|th))\s+){1,3}"
        rf"(?:{_STREET})\b|\bP\.?\s?O\.?\s+Box\s+\d+"
    ),
}
"""Linear in the text: every repetition has a bound."""

_ANNOTATOR: Final = RegexAnnotator()


def identifiers(question: Question) -> list[str]:
    """The kinds of identifiers in a question's stem, options and context, each once. Never their text."""
    texts = (question.question, *question.options.values(), *question.context)
    return list(dict.fromkeys(kind for text in texts for kind in _found(text)))


def _found(text: str) -> Iterator[str]:
    for label, matches in _ANNOTATOR.annotate(text).items():
        if matches and label in LIBRARY:
            yield LIBRARY[label]
    yield from (kind for kind, pattern in PATTERNS.items() if pattern.search(text))
