"""Separates a reasoning model's thinking from its answer by the marks that models and chat templates leave in a text.

Linear in the text. Marks in the middle of a line count as text.
"""

import re

_NAMES = r"(?:(?:[a-z]{1,20}[:_])?think(?:ing)?|(?:inner_)?thoughts?|reflection|scratchpad|reasoning_content)"
_OPEN = (
    rf"<\s?{_NAMES}\s?>", rf"&lt;{_NAMES}&gt;", r"\[THINK(?:ING)?\]", r"<\|think(?:ing)?\|>", r"<\|begin_of_thought\|>",
    r"<\|START_THINKING\|>", r"◁think▷", r"<\|channel>thought", r"<unused94>(?:thought\b)?",
)  # fmt: skip
_CLOSE = (
    rf"<\s?/\s?{_NAMES}\s?>", rf"&lt;/{_NAMES}&gt;", r"\[/THINK(?:ING)?\]", r"<\|/think(?:ing)?\|>",
    r"<\|end_of_thought\|>", r"<\|END_THINKING\|>", r"◁/think▷", r"<channel\|>", r"<unused95>",
)  # fmt: skip
_MARK = re.compile("|".join([*_OPEN, *_CLOSE]), re.IGNORECASE)
"""Alternatives of one level that each begin with a sign: then the search skips what is between signs."""
_IS_OPEN = re.compile("|".join(_OPEN), re.IGNORECASE)
_STEPS = re.compile(r"\s*<(?P<name>reasoning|analysis|reason)>", re.IGNORECASE)
"""Tags that hold thinking, or the steps of the answer itself."""
_SIGNS = ("<", "[THINK", "[/THINK", "&lt;", "◁")
"""Every mark has one of them: a search for these costs a twentieth of one for the marks, and most texts have none."""
_ANSWER_MARK = re.compile(r"^\s*<\|(?:begin_of_solution|START_RESPONSE)\|>|<\|(?:end_of_solution|END_RESPONSE)\|>\s*$")
_THINKING = r"(?:thinking|reasoning|thought)(?: process)?"
_SECTION = re.compile(
    rf"^[#*\s]{{0,8}}(?P<thinking>{_THINKING})[*:\s]{{0,6}}$|^[#*\s]{{0,8}}(?P<final>final response)[*:\s]{{0,6}}$",
    re.IGNORECASE | re.MULTILINE,
)
_CHANNEL = re.compile(r"<\|channel\|>([a-z]{1,20})[^<]{0,100}(?:<\|constrain\|>[^<]{0,40})?<\|message\|>")
_CHANNEL_END = re.compile(r"<\|(?:end|return|call|start|channel)\|>")
_BARE = ("analysis", "assistantfinal")
"""The remains of channel marks after a server has dropped special tokens."""
_END_OF_TURN = re.compile(
    r"<\|(?:im_end|endoftext|eot_id|eom_id|end_of_text|end_of_turn|end|return|END_OF_TURN_TOKEN)\|>"
    r"|<｜end▁of▁sentence｜>|</s>|<end_of_turn>|<eos>"
)
_START_OF_TURN = re.compile(
    r"\A\s*(?:<s>|<bos>|<\|begin_of_text\|>)?\s*(?:<\|im_start\|>assistant\s*|<\|assistant\|>\s*|<start_of_turn>model\s*"
    r"|<｜Assistant｜>\s*|<\|start_header_id\|>assistant<\|end_header_id\|>\s*|<\|start\|>assistant(?!<\|channel))"
)


def split(content: str, marks: tuple[str, str] | None = None) -> tuple[str, str]:
    """Thinking and text of a reply's content. `marks`: the recipe's own, before and after the model's thinking.

    Thinking without an end takes all of the content; an end without a beginning ends thinking as well, since some chat
    templates put the beginning into the prompt. Tokens of the chat template around the text are dropped, and whatever
    a model wrote after the end of its turn.
    """
    if marks is not None and marks[1] in content:
        before, _, text = content.partition(marks[1])
        return before.strip().removeprefix(marks[0]).strip(), _of_turn(text.lstrip())
    if marks is not None and content.lstrip().startswith(marks[0]):
        return content.strip().removeprefix(marks[0]).strip(), ""
    if "<|channel|>" in content:
        return _channels(content)
    begin, final = _BARE
    if content.startswith(begin) and final in content:
        analysis, _, text = content.removeprefix(begin).partition(final)
        return analysis.strip(), _of_turn(text.lstrip())
    content = _of_turn(content)
    thinking, text = _tagged(content)
    if not thinking:
        thinking, text = _steps(text)
    if not thinking:
        thinking, text = _sections(text)
    return thinking, text


def _of_turn(content: str) -> str:
    """The content without the tokens that begin and end the model's turn."""
    if "<" not in content:
        return content
    if (start := _START_OF_TURN.match(content)) is not None and start.end() > 0:
        content = content[start.end() :]
    end = _END_OF_TURN.search(content)
    return content if end is None else content[: end.start()]


def _tagged(content: str) -> tuple[str, str]:
    """Thinking and text by opening and closing marks; marks come twice, alone, or in the text itself."""
    if not any(sign in content for sign in _SIGNS):
        return "", content
    parts: dict[bool, list[str]] = {True: [], False: []}
    inside, quoted, at = False, 0, 0
    for mark in _MARK.finditer(content):
        before = content[at : mark.start()]
        if _IS_OPEN.match(mark[0]) is not None:
            if not inside and not _begins_line(content, mark.start(), at):
                quoted += 1  # the text speaks of the mark
                continue
            parts[inside].append(before)
            inside, quoted = True, 0
        elif not inside and quoted:
            quoted -= 1
            continue
        elif inside:
            parts[True].append(before)
            inside = False
        else:  # an end alone: what came before was thinking, unless nothing comes after
            parts[False].append(before)
            if not parts[True] or content[mark.end() :].strip():
                parts[True] += parts[False]
                parts[False] = []
        at = mark.end()
    parts[inside].append(content[at:])
    thinking = "\n".join(part.strip() for part in parts[True] if part.strip())
    if at == 0:
        return "", content
    text = "\n\n".join(part.strip() for part in parts[False][:-1] if part.strip())
    last = "" if inside else parts[False][-1].lstrip()
    return thinking, _ANSWER_MARK.sub("", f"{text}\n\n{last}" if text and last else text or last)


def _steps(content: str) -> tuple[str, str]:
    """A tag around steps, which begins the content, is thinking if an answer of several lines follows it. Otherwise the
    steps are the answer."""
    opened = _STEPS.match(content)
    closed = re.compile(f"</{opened['name']}>", re.IGNORECASE).search(content, opened.end()) if opened else None
    if opened is None or closed is None:
        return "", content
    text = content[closed.end() :].strip()
    if "\n" not in text or text.startswith("<"):
        return "", content
    return content[opened.end() : closed.start()].strip(), text


def _begins_line(content: str, start: int, at: int) -> bool:
    """Whether nothing but blanks stands between the line's beginning, or the last mark, and this one."""
    return not content[max(content.rfind("\n", 0, start) + 1, at) : start].strip()


def _sections(content: str) -> tuple[str, str]:
    """HuatuoGPT's way: a heading "Thinking", which begins the content, and a heading "Final Response"."""
    if "final response" not in content.lower():  # a twentieth of the search's cost
        return "", content
    headings = list(_SECTION.finditer(content))
    final = next((heading for heading in headings if heading["final"] is not None), None)
    if final is None or headings[0]["thinking"] is None or content[: headings[0].start()].strip():
        return "", content
    return content[headings[0].end() : final.start()].strip(), content[final.end() :].lstrip()


def _channels(content: str) -> tuple[str, str]:
    """Channels of gpt-oss's harmony format: `final` holds the text, all others are thinking."""
    parts: dict[bool, list[str]] = {True: [], False: []}
    for channel in _CHANNEL.finditer(content):
        end = _CHANNEL_END.search(content, channel.end())
        said = content[channel.end() : len(content) if end is None else end.start()].strip()
        if said:
            parts[channel[1] != "final"].append(said)
    return "\n".join(parts[True]), "\n\n".join(parts[False])
