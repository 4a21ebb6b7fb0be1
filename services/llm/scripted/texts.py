"""What the script writes: clearly labelled as such, in six parts, seeded in its wording."""

from services.contracts.question import Question
from services.llm.scripted.seeded import fraction, pick

LABEL = "Scripted text of a test server: it follows the form of a solution and holds no medical reasoning."

_LAST = "Final answer: {letter}"
_FOR = (
    "The script weighs this option against each finding of the stem in turn and finds nothing that excludes it.",
    "The script notes that the time course and the setting of the stem leave room for this option.",
    "The script sets this option beside the key findings and lets it stand for the comparison below.",
    "The script keeps this option, since each of its parts has a counterpart in the stem.",
)
_AGAINST = (
    "The script drops this option: at least one finding of the stem has no counterpart in it.",
    "The script notes a mismatch between this option and the wording of the question, and rules it out.",
    "The script finds that this option would answer another question than the one that is asked.",
    "The script leaves this option aside, as the stem lacks what would be expected with it.",
)
_LINK = (
    "The steps are taken in the order of the stem, so that each can be checked against it.",
    "Each step rests on the stem alone; nothing is added to it.",
    "What the stem leaves out is treated as absent, not as unknown.",
    "Where two readings are possible, the script takes the plainer one and says so.",
)
_FILLER = "The script repeats this sentence to give the text the length that was asked for. "


def path(question: Question, letter: str, key: tuple[object, ...], *, room: int, size: int = 0) -> str:
    """A chain of thought that states `letter`: as many of its parts as there is room for (characters), padded to `size`
    bytes where it is shorter; the last line always."""
    last = _LAST.format(letter=letter)
    parts = _parts(question, letter, key)
    while len(parts) > 1 and sum(len(part) + 2 for part in parts) + len(last) > room:
        parts.pop(-2)
    if pad := size - sum(len(part.encode()) + 2 for part in parts) - len(last) - 2:
        parts += padding(pad)
    return "\n\n".join([*parts, last])


def plain_path(letter: str, key: tuple[object, ...], size: int = 0) -> str:
    """A chain of thought on a question that the server doesn't know."""
    parts = [f"{LABEL} The question is unknown to it.", pick(_LINK, "link", *key)]
    return "\n\n".join([*parts, *padding(size), _LAST.format(letter=letter)])


def padding(size: int) -> list[str]:
    """About so many bytes of text, or nothing."""
    return [(_FILLER * (size // len(_FILLER) + 1))[:size].strip()] if size > 0 else []


def summary(question: Question | None, letter: str | None, key: tuple[object, ...]) -> str:
    """A short explanation of the answer that a path reaches."""
    answer = f"{letter}, {question.options[letter]}" if question is not None and letter is not None else "not stated"
    return (
        f"The answer is {answer}. This is a scripted summary of a test server; it has the form of an explanation and "
        f"holds no medicine. {pick(_LINK, 'link', *key)} {pick(_FOR, 'for', *key)} The alternatives were taken one by "
        f"one: {pick(_AGAINST, 'against', *key).removeprefix('The script ')} {pick(_LINK, 'end', *key)}"
    )


def chat(key: tuple[object, ...]) -> str:
    """The reply to who says neither stage nor case."""
    return f"{LABEL} {pick(_LINK, 'chat', *key)}"


def _parts(question: Question, letter: str, key: tuple[object, ...]) -> list[str]:
    options = question.options
    others = [other for other in options if other != letter]
    rival = pick(others, "rival", *key)
    each = "\n\n".join(
        f"{one}. {text}: {pick(_FOR if one in (letter, rival) else _AGAINST, 'option', one, *key)}"
        for one, text in options.items()
    )
    ruled_out = " ".join(f"{one}: {pick(_AGAINST, 'out', one, *key)}" for one in others if one != rival)
    mark = f"{int(fraction('mark', *key) * 0x1000000):06x}"
    return [
        f"## 1. The question restated\n{LABEL} Draft {mark}. It is asked to choose one of {len(options)} options: "
        f"{', '.join(options)}. {pick(_LINK, 'restated', *key)}",
        f"## 2. Key details and background\nThe stem opens: “{question.question[:160].strip()}”. "
        f"{pick(_LINK, 'details', *key)} {pick(_LINK, 'background', *key)}",
        f"## 3. Each option evaluated\n{each}",
        f"## 4. Options ruled out\n{ruled_out or 'None but the rival below.'}",
        f"## 5. Remaining options compared\n{letter} and {rival} remain. {pick(_FOR, 'kept', *key)} "
        f"Against {rival}: {pick(_AGAINST, 'rival out', *key)}",
        f"## 6. Conclusion\nThe script chooses {letter}, {options[letter]}. {pick(_LINK, 'end', *key)}",
    ]
