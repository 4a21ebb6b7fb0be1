"""Removes markup from a text: Markdown, LaTeX, HTML and special tokens of models. Linear in the text."""

import re
import unicodedata

SPECIAL_TOKEN = re.compile(
    r"<[|｜][^<>|｜\s][^<>|｜]{0,40}[|｜]>|</?s>|<(?:eos|bos|end_of_turn|start_of_turn)>|\[/?INST\]"
)
"""Special tokens of chat templates that models leave in their texts."""

BOX = "\\boxed"
MOST_MARKS = 50
"""The most boxes, fields or tags that are read: a text with more repeats itself."""

_BOX_CHARACTERS = 300
"""The most characters of a box: an option's letter and text."""

_TAG = re.compile(r"</?[a-zA-Z][a-zA-Z_]{0,19}\s?/?>")
_LATEX = re.compile(
    r"\\(?:boxed|fbox|framebox|text(?:bf|rm|it|sf|tt|normal)?|math(?:bf|rm|it|sf|tt|cal)|mbox|boldsymbol|bm|bf|rm"
    r"|displaystyle|left|right|quad|qquad)(?![a-zA-Z])|\\[()\[\],;:! ]|[${}]"
)
_EMPHASIS = re.compile(r"\*+|`+|~~+|(?<!\w)_+|_+(?!\w)")
_DASHES = str.maketrans(dict.fromkeys("−‐‑‒–—―－﹣", "-"))
_WORD = re.compile(
    r"(?<![\w)])[+-]?(?:[0-9]+(?:[.,][0-9]+)*|\.[0-9]+)|[0-9]+(?:[.,][0-9]+)*|[^\W0-9_]+|[%<>≤≥=≠±+⁺⁻/°]"
)


def plain(text: str) -> str:
    """The text without emphasis, LaTeX commands and dollar signs, HTML tags and special tokens; other signs stay."""
    text = _TAG.sub(" ", SPECIAL_TOKEN.sub(" ", text)).replace("\\%", "%")
    return _EMPHASIS.sub("", _LATEX.sub("", text)).strip()


def words(text: str) -> str:
    """The normalised text for comparison: lower-case words, numbers with sign and decimal point, superscripts and
    comparison signs; without spaces and other punctuation. "-5" differs from "5", 10² from 102."""
    return " ".join(_WORD.findall(unicodedata.normalize("NFC", text).translate(_DASHES).casefold()))


def narrow(text: str) -> str:
    """Full-width, circled and mathematical letters as plain ones (Ｂ, Ⓑ, 𝐁); letters of other alphabets stay."""
    return text if text.isascii() else "".join(map(_narrow, text))


def boxes(text: str) -> list[str]:
    """The contents of the last LaTeX boxes, in order; without boxes that are too long or do not end."""
    found: list[str] = []
    start = text.rfind(BOX)
    while start >= 0 and len(found) < MOST_MARKS:
        opened = text[start + len(BOX) : start + len(BOX) + _BOX_CHARACTERS].lstrip()
        end = _closing(opened) if opened.startswith("{") else None
        found.insert(0, "" if end is None else opened[1:end])
        start = text.rfind(BOX, 0, start)
    return [content for content in found if content]


def _closing(text: str) -> int | None:
    depth = 0
    for index, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return index
    return None


def _narrow(character: str) -> str:
    styled = (
        "\uff00" < character < "\uff5f" or "\u24b6" <= character <= "\u24e9" or "\U0001d400" <= character < "\U0001d800"
    )
    return unicodedata.normalize("NFKC", character) if styled else character
