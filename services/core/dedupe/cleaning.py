"""Removes markup and invisible characters for comparisons. Case ids are digests of the unchanged text. Pure.

HTML entities and tags, soft hyphens, zero-width characters and hyphens at the end of a line do not change a question.
Each of them once let a question of an evaluation set through. Every pattern is linear in the text.
"""

import html
import re
from typing import Final

_TAGS: Final = (
    "a|b|big|br|center|code|dd|div|dl|dt|em|font|h[1-6]|hr|i|img|li|ol|p|pre|q|s|small|span|strike|strong|sub|sup|"
    "table|tbody|td|tfoot|th|thead|tr|tt|u|ul"
)
"""Tags by name. Not every `<...>` is a tag: `p <a and b> c` is text."""
_INLINE: Final = re.compile(
    r"</?(?:a|b|big|code|em|font|i|s|small|span|strike|strong|sub|tt|u)(?:\s[^<>=]{0,100}=[^<>]{0,500})?\s?/?>",
    re.IGNORECASE,
)
"""Tags within words, such as `H<sub>2</sub>O`; they do not separate words."""
_TAG: Final = re.compile(rf"</?(?:{_TAGS})(?:\s[^<>=]{{0,100}}=[^<>]{{0,500}})?\s?/?>", re.IGNORECASE)
_RAISED_TAG: Final = re.compile(r"<sup>\s*([+\u2212-]?)(\d{1,20})\s*</sup>", re.IGNORECASE)
_RAISED: Final = re.compile("([\u207a\u207b]?)([\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+)")
"""Superscript digits, with their sign."""
_DIGITS: Final = str.maketrans(
    "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207a\u207b", "0123456789+-"
)
_INVISIBLE: Final = re.compile("[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]")
_BROKEN_LINE: Final = re.compile(r"(?<=[^\W\d_])-[ \t]{0,20}\r?\n[ \t]{0,20}(?=[^\W\d_])")
"""A word that is hyphenated at the end of a line."""


def cleaned(text: str) -> str:
    """The text as a reader sees it. Superscripts become `^6`, so that 10⁶ is not 106."""
    if text.isascii() and "&" not in text and "<" not in text and "\n" not in text:
        return text
    if "&" in text:
        text = html.unescape(html.unescape(text))  # some data sets are escaped twice
    if "<" in text:
        text = _RAISED_TAG.sub(r"^\1\2", text)
        text = _TAG.sub(" ", _INLINE.sub("", text))
    text = _INVISIBLE.sub("", text)
    if "-" in text:
        text = _BROKEN_LINE.sub("", text)
    return _RAISED.sub(lambda found: "^" + found[0].translate(_DIGITS), text)
