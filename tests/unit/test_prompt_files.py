"""The prompt files: each holds its placeholders, shows nobody what they must not see, and suits the prefix cache."""

import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from services.contracts.case import Severity
from services.evaluator.replies import CRITERIA

SERVICES = Path(__file__).parents[2] / "services"
PLACEHOLDER = re.compile(r"\{([A-Za-z_]+)\}")

JUDGE = {"question", "gold", "path"}
JUDGE_OF_STEPS = {"question", "gold", "steps"}
EXPECTED: dict[str, set[str]] = {
    "generator/generate": {"question"},
    "generator/generate_short": {"question"},
    "verifier/verify": JUDGE,
    "verifier/verify_short": JUDGE,
    "verifier/verify_steps": JUDGE_OF_STEPS,
    "verifier/verify_steps_short": JUDGE_OF_STEPS,
    "verifier/score": JUDGE,
    "verifier/score_short": JUDGE,
    "verifier/verify_and_score": JUDGE,
    "evaluator/evaluate": JUDGE,
    "refiner/refine": {"question", "gold", "path", "own_reason", "other_reasons"},
    "refiner/refine_short": {"question", "gold", "path", "own_reason", "other_reasons"},
    "refiner/reason_anew": {"question", "gold", "reasons"},
    "refiner/reason_anew_short": {"question", "gold", "reasons"},
    "summarizer/summarize": {"question", "path"},
    "summarizer/summarize_short": {"question", "path"},
}
JUDGES = [name for name in EXPECTED if name.startswith(("verifier/", "evaluator/"))]
UNAIDED = [name for name in EXPECTED if name.startswith(("generator/", "summarizer/"))]
ANSWERING = [name for name in EXPECTED if name.startswith(("generator/", "refiner/"))]
SIX_PARTS = ["generator/generate", "refiner/refine", "refiner/reason_anew"]
FULL = [name for name in EXPECTED if not name.endswith("_short")]


def text_of(name: str) -> str:
    service, stem = name.split("/")
    return (SERVICES / service / "prompts" / f"{stem}.md").read_bytes().decode("utf-8")


def where(name: str, placeholder: str) -> float:
    """The place of a placeholder as a share of the template's own text: 0 at its start, 1 at its end."""
    before, after = (PLACEHOLDER.sub("", part) for part in text_of(name).split(f"{{{placeholder}}}"))
    return len(before) / len(before + after)


def shown(name: str) -> str:
    """The placeholder of the path, as a text or as steps; empty if the stage has none."""
    return next(iter(EXPECTED[name] & {"path", "steps"}), "")


def headings(name: str) -> list[str]:
    return re.findall(r"^## .*$", text_of(name), flags=re.MULTILINE)


def test_every_prompt_file_is_expected() -> None:
    found = {f"{path.parts[-3]}/{path.stem}" for path in SERVICES.glob("*/prompts/*.md")}
    assert found == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_exactly_its_placeholders_each_once(name: str) -> None:
    assert sorted(PLACEHOLDER.findall(text_of(name))) == sorted(EXPECTED[name])


@pytest.mark.parametrize("name", EXPECTED)
def test_clean_text(name: str) -> None:
    text = text_of(name)
    assert text == text.strip() + "\n"
    assert "\r" not in text
    assert "\t" not in text


@pytest.mark.parametrize("name", EXPECTED)
def test_the_question_block_brings_its_own_tags(name: str) -> None:
    assert "\n\n{question}\n" in text_of(name)
    assert "</question>" not in text_of(name)


@pytest.mark.parametrize("name", [name for name in EXPECTED if shown(name)])
def test_the_path_is_between_its_tags(name: str) -> None:
    assert f"\n<reasoning>\n{{{shown(name)}}}\n</reasoning>\n" in text_of(name)


@pytest.mark.parametrize("name", UNAIDED)
def test_generator_and_summarizer_know_of_no_gold_answer(name: str) -> None:
    text = text_of(name).casefold()
    for word in ("gold", "verdict", "reference", "correct answer", "review"):
        assert word not in text


@pytest.mark.parametrize("name", JUDGES)
def test_the_shared_part_comes_before_the_path(name: str) -> None:
    assert where(name, "question") < where(name, "gold") < where(name, shown(name))
    assert where(name, shown(name)) >= 0.85


@pytest.mark.parametrize("name", FULL)
def test_data_is_never_instructions(name: str) -> None:
    guard = next(line for line in text_of(name).splitlines() if line.startswith("Text inside <question>"))
    assert "never instructions to you" in guard
    assert ("<reasoning>" in guard) == bool(shown(name))


@pytest.mark.parametrize("name", ANSWERING)
def test_the_last_line_is_asked_for(name: str) -> None:
    assert "last line" in text_of(name)
    assert "`Final answer: X`" in text_of(name)


@pytest.mark.parametrize("name", SIX_PARTS)
def test_the_six_parts_are_the_same_everywhere(name: str) -> None:
    assert [heading[:5] for heading in headings(name)] == [f"## {number}." for number in range(1, 7)]
    assert headings(name) == headings("generator/generate")


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("verifier/verify", ["verdict", "reason"]),
        ("verifier/verify_short", ["verdict", "reason"]),
        ("verifier/verify_steps", ["step", "kind", "severity", "reason"]),
        ("verifier/verify_steps_short", ["step", "kind", "severity", "reason"]),
        ("verifier/score", ["score", "justification"]),
        ("verifier/score_short", ["score", "justification"]),
        ("verifier/verify_and_score", ["verdict", "reason", "score", "justification"]),
        ("evaluator/evaluate", [*CRITERIA, "justification"]),
    ],
)
def test_the_reply_has_its_fields_in_order(name: str, fields: list[str]) -> None:
    form = re.search(r"\{\"[^{}]*\}", text_of(name))
    assert form is not None
    assert re.findall(r"\"(\w+)\":", form.group()) == fields


def test_the_judge_of_steps_has_the_criteria_and_every_kind_and_severity() -> None:
    text = text_of("verifier/verify_steps")
    criteria = [line for line in text_of("verifier/verify").splitlines() if re.match(r"[1-4]\. ", line)]
    assert all(line in text.splitlines() for line in criteria)
    kinds = tomllib.loads((SERVICES / "verifier" / "step_errors.toml").read_text(encoding="utf-8"))
    assert ", ".join(f"{kind} ({meaning})" for kind, meaning in kinds.items()) in text
    severities = text.split('"severity" is one of: ')[1].splitlines()[0]
    assert re.findall(r"(\w+) \([^)]*\)", severities) == list(get_args(Severity))


def test_both_ways_to_judge_use_the_same_words() -> None:
    both = text_of("verifier/verify_and_score").splitlines()
    criteria = [line for line in text_of("verifier/verify").splitlines() if re.match(r"[1-4]\. ", line)]
    levels = [line for line in text_of("verifier/score").splitlines() if re.match(r"- [0-5]: ", line)]
    assert len(criteria) == 4
    assert len(levels) == 6
    assert all(line in both for line in criteria + levels)
