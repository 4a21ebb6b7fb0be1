"""Extracts the answer that a text states: on its last line or under a last heading, else in a box, tag or JSON field.

Precision before recall: a contradictory or unclear text states no answer. The words for "final answer" in each language
are in answer_words.toml. Linear in the length of the text.
"""

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from services.contracts.question import LETTERS, Question
from services.core.case.answer_lines import WORDS, any_of, ending
from services.core.case.markup import BOX, MOST_MARKS, boxes, narrow, plain, words

Options = Mapping[str, str | None]
"""Option texts by letter. None: the text is unknown, and any text may follow the letter."""

_LETTER = re.compile(
    rf"(?:(?:{any_of(WORDS['of_option'])})\s{{0,3}}[:：]?\s{{0,3}})?(?P<open>[(\[（【「『〈《\"'“‘«‹„]{{0,2}})\s{{0,3}}"
    rf"(?P<letter>[A-Za-z])\s{{0,3}}(?P<close>[)\]）】」』〉》\"'”’»›“]{{0,2}})(?P<rest>(?![\w'’/]).*)",
    re.IGNORECASE | re.DOTALL,
)
_ASKED = re.compile(r"[\W_]{0,8}final answer[\W_]{0,4}[:：][\W_]{0,4}(?P<letter>[A-Z])[\s*_.。]{0,8}", re.IGNORECASE)
"""The line that every prompt asks for, with only a letter."""
_AFTER_OPTION = re.compile(rf"\s{{0,3}}(?:{any_of(WORDS['after_option'])})\W{{0,5}}$", re.IGNORECASE)
_BECAUSE = re.compile(
    rf"(?<=\w)[)\]\"'”»]?[\s,;:，。.–—-]{{1,5}}(?:{any_of(WORDS['because'])})(?!\w).*$", re.IGNORECASE | re.DOTALL
)
_BOXED = ("\x08oxed", "\\\\boxed")
"""What unescaping too often, or not at all, makes of a box."""
_NONE = frozenset(words(phrase) for phrase in WORDS["none_of_them"])
_KEYS = r"(?:(?:final|correct)[ _])?answer(?:[ _](?:choice|letter|option))?"
_FIELDS = (
    re.compile(rf'"{_KEYS}"\s{{0,20}}:\s{{0,20}}"([^"\n]{{0,400}})"', re.IGNORECASE),
    re.compile(rf"'{_KEYS}'\s{{0,20}}:\s{{0,20}}'([^'\n]{{0,400}})'", re.IGNORECASE),
    re.compile(r"<(?:final_)?answer>([^<>]{0,400})</(?:final_)?answer>", re.IGNORECASE),
)
"""The answer as a JSON field, or in a tag."""

_LEAK = re.compile(
    r"\b(?:(?:the |a )?(?:gold|reference|provided|given|supplied|known) (?:standard )?(?:correct )?answer"
    r"(?! choice| option)"  # in real texts, all 18 such phrases meant the options
    r"|(?:answer|solution) (?:(?:that )?(?:was|is|has been) )?(?:given|provided|supplied)"
    r" (?:to (?:me|us)|above|as correct)"
    r"|(?:I|we) (?:was|were|am|are|have been) (?:told|given) (?:that )?the (?:correct |right )?answer"
    r"|answer key)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class FinalAnswer:
    """The final answer that a text states. Both fields are None if it states none or is unclear."""

    option: str | None = None
    """The letter of an offered option."""
    outside: str | None = None
    """An answer outside the options: a letter that is not offered, or words for "none of them"."""


UNCLEAR = FinalAnswer()


def final_answer(text: str, options: Options) -> FinalAnswer:
    """The final answer that the text states, within or outside these options."""
    for spelling in _BOXED:
        text = text.replace(spelling, BOX)
    if (asked := _ASKED.fullmatch(text.rstrip().rpartition("\n")[2])) and asked["letter"] in options:
        return FinalAnswer(option=asked["letter"])  # the letter, even if an option's text is another's letter
    end = ending(text)
    labelled = [_read(value, options) for value in end.labelled]
    if end.asked_form:
        return labelled[-1]
    if end.under_heading is not None and (read := _read(end.under_heading, options)) != UNCLEAR:
        return read
    found = {read for read in labelled if read != UNCLEAR} | _marked(text, options)
    return found.pop() if len(found) == 1 else UNCLEAR


def stated(text: str, question: Question) -> str | None:
    """The letter of the option that the text states as its final answer, or None."""
    return final_answer(text, question.options).option


def mentions_given_answer(text: str) -> bool:
    """Whether the text mentions that it was given the answer."""
    return _LEAK.search(text) is not None


def _marked(text: str, options: Options) -> set[FinalAnswer]:
    """All answers that the text marks in fields, tags and boxes. A box may hold an intermediate result: only the last
    one must hold an option."""
    last = [match[1] for pattern in _FIELDS for match in deque(pattern.finditer(text), MOST_MARKS)]
    fields = {_read(value, options) for value in last}
    boxed = [_read(value, options) for value in boxes(text)]
    return fields | {read for read in boxed if read != UNCLEAR} | set(boxed[-1:])


def _read(value: str, options: Options) -> FinalAnswer:
    """The option that a value names: by its letter alone, its letter and text, or its text alone."""
    stated = _AFTER_OPTION.sub("", plain(value).strip(" .。,;!"))
    if (because := _BECAUSE.search(stated)) is not None and _by_text(stated, options) is None:
        stated = stated[: because.start()].rstrip(" .。,;!")
    by_text = _by_text(stated, options)
    match = _LETTER.fullmatch(narrow(stated))
    letter = match["letter"].upper() if match is not None else ""
    if match is not None and "?" in match["rest"]:
        return UNCLEAR
    if match is None or (letter not in LETTERS and match["rest"].strip(" .")):
        is_none = by_text is None and words(stated) in _NONE
        return FinalAnswer(outside=stated) if is_none else FinalAnswer(option=by_text)
    if letter in options and _goes_with(match, options[letter]):
        clash = by_text not in (None, letter) and not match["open"]
        return UNCLEAR if clash else FinalAnswer(option=letter)
    if letter in options and match["letter"].isupper() and by_text is not None:
        return UNCLEAR  # "B>A>D>C" may be B with a remark, or the option of that text
    if letter in options or words(match["rest"]) or by_text is not None:
        return FinalAnswer(option=by_text)
    return FinalAnswer(outside=letter)


def _goes_with(match: re.Match[str], text: str | None) -> bool:
    """Whether the letter is followed by nothing or by its option's text, so that the article 'a' is not option A."""
    rest = words(match["rest"])
    if text is not None or not rest:
        return rest in ("", words(text or ""))
    separated = bool(match["close"]) or match["rest"].lstrip()[:1] in tuple(".:-–—(")
    return separated and match["letter"].isupper()


def _by_text(stated: str, options: Options) -> str | None:
    """The only option with exactly this text, or None."""
    wanted = words(stated)
    same = [letter for letter, text in options.items() if wanted and text is not None and words(text) == wanted]
    return same[0] if len(same) == 1 else None
