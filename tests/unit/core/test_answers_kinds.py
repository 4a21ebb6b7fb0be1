"""Ways in which models of many makers and languages state an answer, and ways of stating none. All written for this."""

import pytest

from services.core.case.answers import final_answer
from services.core.case.markup import words

OPTIONS = {"A": "Aspirin", "B": "Heparin", "C": "Vitamin C", "D": "Warfarin"}

STATES_B = [
    "So it is.\n\nThe correct answer is B.",
    "Therefore, the correct answer is **B. Heparin**.",
    "Therefore, the answer is $\\boxed{B}$.",
    "\\boxed{B}",
    "Thus the answer is \\(\\boxed{\\text{B}}\\).",
    "### Final Answer\n\n**B. Heparin**",
    "**Answer:**\nB",
    "Answer:\n\n(B) Heparin",
    "Final answer: \\textbf{B}",
    "Final answer: $\\mathbf{(B)}$",
    "Final answer: \\[\\boxed{\\mathrm{B}}\\]",
    "Final answer: Option B",
    "Final answer: option (B)",
    "Final Answer: B) Heparin",
    "Final answer: [B]",
    'Final answer: "B"',
    "Final answer: `B`",
    "Final answer: <b>B</b>",
    "Final answer is B",
    "FINAL ANSWER - B",
    "Final answer: B ✅",
    "✅ Final answer: B",
    "> Final answer: B",
    "1. Final answer: B",
    "Final answer: B\n\n---",
    "Final answer: B\n</answer>",
    "Final answer: B\n\nLet me know if you have any questions!",
    "Final answer: B</s>",
    "Final answer: B<|eot_id|>",
    "Final answer: B. I hope this helps!",
    "Final answer: B\n\nConfidence: 95%",
    "最终答案是：B",
    "因此，正确答案是 B。",
    "答案为B",
    "故选B",
    "故选：B。",
    "正确答案：B. Heparin",
    "答案：(B)",
    "答え：B",
    "正解はBです。",
    "最終的な答え: B",
    "정답: B",
    "정답은 B입니다.",
    "Antwort: B",
    "Die richtige Antwort ist B.",
    "Réponse : B",
    "La bonne réponse est B.",
    "La respuesta correcta es B.",
    "Respuesta final: B",
    "Resposta: B",
    "A resposta correta é B",
    "La risposta corretta è B.",
    "Ответ: B",
    "Правильный ответ: B",
    "الإجابة: B",
    "उत्तर: B",
    "Đáp án: B",
    "Cevap: B",
    "Based on the above analysis, the answer is B.",
    "I conclude that the answer is B",
    "The best answer is B: Heparin",
    "The correct option is (b).",
    "Answer: b) heparin",
    "<answer>\nB\n</answer>",
    "<answer>B. Heparin</answer>\n",
    '{"answer": "Heparin"}',
    '```json\n{"final_answer": "B"}\n```',
    '{"answer": "b"}',
    "Final answer: 𝐁",
    "Final answer: Ⓑ",
    "**Final Answer: \\(B\\)**",
    "Final answer: B.\n\n***",
    "The final answer is $\\boxed{\\text{(B) Heparin}}$.",
    "Final Answer: The final answer is $\\boxed{B}$. I hope it is correct.",
    "Therefore, option B is correct.",
    "Hence, B is the correct answer.",
    "The answer is therefore B.",
    "**Correct Answer: B) Heparin**",
    "Final answer: (B) Heparin",
    "Final answer: B, Heparin",
    "The answer is: **B**",
    "Answer - B",
    "So the answer is: (B)",
    "Final answer:B",
    "Final answer:**B**",
    "Final answer: {B}",
    "Final answer: Answer B",
    "final_answer: B",
    '"final_answer": "B"',
    "Final answer: B\\.",
    "Final answer： Ｂ．Heparin",
    "答案：Ｂ",
    "选择B",
    "正确选项是B",
    "Final answer: \\boxed{B. Heparin}\n```",
    "Final answer: B\n<|endoftext|>",
    "Final answer: B [end of text]",
    "The most likely answer is B.",
    "Final answer: $B$",
    "Final answer: \\(\\text{B}\\)",
    "Final answer: *B*",
    "Final answer: The correct answer is B.",
    "Final answer: the correct answer is option B: Heparin",
    "Final answer:\n\\[\n\\boxed{B}\n\\]",
    "The final answer is: $\\boxed{\\text{B. Heparin}}$",
]

STATES_NONE = [
    "Final answer: B or C",
    "Final answer: B and C",
    "Final answer: not B",
    "Final answer: B?",
    "The answer is not B.",
    "Final answer: B is wrong",
    "Final answer: A vitamin",
    "It would be wrong to say that the answer is B.",
    "\\boxed{B} or \\boxed{C}",
    "Final answer: Hepar",
    "The answer is B or C.",
    "Final answer: **B** or **C**",
    "Option B is wrong.",
    "Final answer: B, C",
    "Answer: unclear",
    "Final answer: either B",
    '{"answer": ["B"]}',
    "Final answer: \\boxed{B, C}",
    "最终答案：B或C",
    "答案不是B",
    "The answer can't be B.",
    "Final answer: Beta-blocker",
    "If so, the answer is B, otherwise C.",
    "B",
    "Final answer: B/C",
    "Final answer: B-C",
    "Final answer: B1",
    "Final answer: Not B. Heparin",
    "I am not sure the answer is B",
    "The wrong answer is B.",
    "The answer is B, but C is possible",
    "Unlike Final answer: B",
    "Is the final answer B?",
    "Final answer: B > C",
    "Final answer: В",  # Cyrillic
]


@pytest.mark.parametrize("text", STATES_B)
@pytest.mark.parametrize(
    "before", ["", "It isn't A: aspirin acts on platelets. C is a vitamin.\n\n"], ids=["alone", "after"]
)
def test_b_is_stated(before: str, text: str) -> None:
    assert final_answer(before + text, OPTIONS).option == "B"


@pytest.mark.parametrize("text", STATES_NONE)
def test_nothing_is_stated(text: str) -> None:
    found = final_answer(text, OPTIONS)
    assert (found.option, found.outside) == (None, None)


@pytest.mark.parametrize(
    "text", ["Final answer: E", "Answer: (F)", "Final answer: \\boxed{G}", '{"answer": "E"}', "答案：E"]
)
def test_a_letter_that_is_not_offered_differs_from_no_answer(text: str) -> None:
    assert final_answer(text, OPTIONS).option is None
    assert final_answer(text, OPTIONS).outside in ("E", "F", "G")


@pytest.mark.parametrize(
    ("options", "text", "option"),
    [
        ({"A": "-5", "B": "5"}, "Final answer: 5", "B"),
        ({"A": "-5", "B": "5"}, "Final answer: −5", "A"),
        ({"A": "-5", "B": "5"}, "Final answer: A. 5", None),
        ({"A": "2.5 mg", "B": "25 mg"}, "Final answer: 2.5 mg", "A"),
        ({"A": "10²", "B": "102"}, "Final answer: 10²", "A"),
        ({"A": "10²", "B": "102"}, "Final answer: B. 10²", None),
        ({"A": "< 5%", "B": "> 5%"}, "Final answer: > 5%", "B"),
        ({"A": "E. coli", "B": "S. aureus"}, "Final answer: E. coli", "A"),
        ({"A": "C. difficile", "B": "S. aureus"}, "Final answer: C. difficile", "A"),
        ({"A": "AB", "B": "A", "C": "B", "D": "O"}, "Final answer: B", "B"),  # as the prompts ask: the letter alone
        ({"A": "AB", "B": "A", "C": "B", "D": "O"}, "The answer is B.", None),  # the letter, or the blood group?
        ({"A": "AB", "B": "A", "C": "B", "D": "O"}, r"\boxed{B}", None),
        ({"A": "AB", "B": "A", "C": "B", "D": "O"}, "Final answer: (C) B", "C"),
        ({"A": "yes", "B": "no", "C": "maybe"}, "Final answer: Maybe.", "C"),
        ({"A": "yes", "B": "yes"}, "Final answer: yes", None),
        ({"A": "None of the above", "B": "x"}, "Final answer: none of the above", "A"),
        ({"A": "B>A>D>C", "B": "B>D>C>A"}, "Final answer: B>A>D>C", None),
    ],
)
def test_option_texts_are_compared_as_people_read_them(options: dict[str, str], text: str, option: str | None) -> None:
    assert final_answer(text, options).option == option


def test_without_option_texts_a_letter_may_have_any_text_behind_a_mark() -> None:
    letters = dict.fromkeys("ABCDEFGHIJ")
    assert final_answer("Final answer: B. Heparin", letters).option == "B"
    assert final_answer("Final answer: (b)", letters).option == "B"
    assert final_answer("Final answer: B or C", letters).option is None
    assert final_answer("Final answer: a vitamin", letters).option is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("-5", "5"),
        ("10²", "102"),
        ("10⁻⁵", "10⁵"),
        ("1.5", "15"),
        ("1.5", "1,5"),
        ("<5", ">5"),
        ("Na+", "Na"),
        ("5%", "5"),
    ],
)
def test_significant_parts_of_numbers_are_kept(one: str, other: str) -> None:
    assert words(one) != words(other)


@pytest.mark.parametrize(
    ("one", "other"), [("−5", "-5"), ("Beta-blocker", "beta blocker"), ("(Heparin).", "heparin"), ("µg", "μg")]
)
def test_insignificant_differences_are_ignored(one: str, other: str) -> None:
    assert words(one) == words(other)
