"""The cases that the browser sees: easy, medium, difficult, dead, refused, under way, and one with a script in it."""

from services.contracts.case import Case, StepError, Steps
from services.contracts.dead import DeadLetter
from services.core.case.steps import step_ends
from tests.browser import texts
from tests.browser.stories import Said, begun, case_of, correct, path, question, record, refused, unverified, wrong

NERVE = "A man of 70 falls on his shoulder and breaks the surgical neck of the humerus. Which nerve is most at risk?"
SCURVY = "A man who has lived on bread and tea for a year has bleeding gums and loose teeth. Which vitamin is lacking?"
SURFACTANT = "Which cells of the lung make surfactant?"

SHIFTS_FIRST = StepError(
    step=2, kind="missing_alternative", severity="critical", reason="With a QRS of 160 ms calcium has to come first."
)


def medium() -> list[Said]:
    """Four of nine hold; of two rewritten paths one is better, and kept."""
    case = case_of(question(texts.HYPERKALAEMIA, texts.HYPERKALAEMIA_OPTIONS, "B", "Nephrology"))
    shifts = "It shifts potassium before the membrane is protected; with a QRS of 160 ms that comes too late."
    plan = (
        correct(path(case, 0, texts.CALCIUM), "Protects the membrane first, and says why.", 5, "Complete and exact."),
        correct(path(case, 1, texts.CALCIUM_THIN), "The answer is right.", 3, "Calcium does not lower potassium."),
        wrong(path(case, 2, texts.INSULIN), shifts, steps=Steps(ends=step_ends(texts.INSULIN), errors=(SHIFTS_FIRST,))),
        correct(path(case, 3, texts.CALCIUM), "Right drug, right order.", 4, "Doses are missing."),
        wrong(path(case, 4, texts.SALBUTAMOL), "Another answer than gold is stated.", "stated_answer", "correct"),
        wrong(path(case, 5, texts.CUT_OFF), "The model stopped at its limit of tokens.", "cut_off", None),
        wrong(path(case, 6, texts.INSULIN), shifts),
        path(case, 7, "").with_(failure="HTTP 400: the context is too long for the model", finish_reason=None),
        correct(path(case, 8, texts.CALCIUM_THIN), "The answer is right.", 2, "Thin, and wrong about the mechanism."),
    )
    verified = case.with_(paths=plan, difficulty="medium")
    new = (
        path(case, 0, texts.CALCIUM_WORSE, round=1, parents=plan[:1]),
        path(case, 1, texts.CALCIUM_MENDED, round=1, parents=plan[1:2]),
    )
    judged = (
        correct(new[0], "Still right.", 3, "Now says that all three work within minutes."),
        correct(new[1], "Right, and the mechanism with it.", 5, "The error about potassium is mended."),
    )
    done = verified.with_(paths=plan + judged, rounds=1, kept=(plan[0].path_id, judged[1].path_id))
    summary = "With a QRS of 160 ms calcium comes first: it protects the heart within minutes, and lowers no potassium."
    return [
        *begun(case),
        Said("paths-generated", case.with_(paths=unverified(plan)), 41),
        Said("paths-verified", verified, 68),
        Said("case-medium", verified, 68.2),
        Said("paths-generated", verified.with_(paths=plan + unverified(new), rounds=1), 83),
        Said("paths-verified", verified.with_(paths=plan + judged, rounds=1), 95),
        Said("case-accepted", done, 95.1),
        Said("record-completed", record(done, 0, summary), 99),
        Said("record-completed", record(done, 1, summary), 101),
    ]


def difficult() -> list[Said]:
    """None holds, for gold is doubtful; reasoned again twice, then rejected."""
    options = {"A": "Radial nerve", "B": "Axillary nerve", "C": "Ulnar nerve", "D": "Musculocutaneous nerve"}
    case = case_of(question(NERVE, options, "A", "Anatomy"))
    other = "It states B, and gold is A."
    plan = tuple(wrong(path(case, slot, texts.AXILLARY), other, "stated_answer", "correct") for slot in range(9))
    steps = [*begun(case), Said("paths-generated", case.with_(paths=unverified(plan)), 38)]
    paths = plan
    for number in (1, 2):
        hard = case.with_(paths=paths, difficulty="difficult", rounds=number - 1, gold_disputed=True)
        new = tuple(path(case, slot, texts.RADIAL, round=number, parents=plan[:2]) for slot in (0, 1))
        steps += [Said("paths-verified", hard, 60.0 * number), Said("case-difficult", hard, 60.0 * number + 0.2)]
        steps.append(Said("paths-generated", hard.with_(paths=paths + new, rounds=number), 60.0 * number + 25))
        paths += tuple(wrong(each, "The size of a nerve is no reason for its injury.") for each in new)
    last = case.with_(paths=paths, difficulty="difficult", rounds=2, gold_disputed=True)
    why = "no correct path after 2 rounds of the strong model"
    return [*steps, Said("paths-verified", last, 170), Said("case-rejected", last.with_(rejected=why), 170.1)]


def easy() -> Case:
    """All nine hold."""
    options = {"A": "Vitamin A", "B": "Vitamin B1", "C": "Vitamin C", "D": "Vitamin D"}
    case = case_of(question(SCURVY, options, "C", "Nutrition", "our-bank"))
    text = "Bread and tea hold no ascorbic acid, without which collagen is not hydroxylated.\n\nFinal answer: C"
    plan = tuple(correct(path(case, slot, text), "Right.", 4, "Short and right.") for slot in range(9))
    return case.with_(paths=plan, difficulty="easy")


def way_of_easy() -> list[Said]:
    """Accepted and waiting for its summaries: it has not ended."""
    case = easy()
    bare = case.with_(paths=(), difficulty=None)
    accepted = case.with_(kept=(case.paths[0].path_id,))
    return [
        *begun(bare),
        Said("paths-generated", bare.with_(paths=unverified(case.paths)), 29),
        Said("paths-verified", case, 44),
        Said("case-accepted", accepted, 44.1),
    ]


def end_of_easy() -> list[Said]:
    """Its one record."""
    case = easy()
    accepted = case.with_(kept=(case.paths[0].path_id,))
    return [Said("record-completed", record(accepted, 0, "Without vitamin C collagen is weak: scurvy."), 47)]


def under_way() -> list[Said]:
    """Nine paths wait for their verdicts."""
    options = {"A": "Type I pneumocytes", "B": "Type II pneumocytes", "C": "Club cells", "D": "Macrophages"}
    case = case_of(question(SURFACTANT, options, "B", "Physiology", "our-bank"))
    plan = tuple(path(case, slot, "Type II cells store it in lamellar bodies.\n\nFinal answer: B") for slot in range(9))
    return [*begun(case), Said("paths-generated", case.with_(paths=plan), 31)]


def dead() -> list[Said]:
    """Its judge couldn't be read, nine times."""
    options = {"A": "Gastrin", "B": "Secretin", "C": "Motilin", "D": "Ghrelin"}
    case = case_of(question("Which hormone makes the pancreas give bicarbonate?", options, "B", "Physiology"))
    why = "more than 2 of the plan's 9 paths are unknown: is the judge well?"
    letter = DeadLetter(
        kind="too_many_unknown",
        error=why,
        service="router",
        attempts=1,
        topic="paths-verified",
        partition=0,
        offset=7,
    )
    return [*begun(case), Said("paths-verified", case, 60), Said("router-dead", case, 60.2, letter)]


def script() -> list[Said]:
    """Everything that somebody else wrote is markup."""
    case = case_of(question(texts.SCRIPT, {"A": texts.SCRIPT, "B": "no"}, "A", texts.SCRIPT, texts.SCRIPT))
    plan = (correct(path(case, 0, f"{texts.SCRIPT}\n\nFinal answer: A"), texts.SCRIPT, 4, texts.SCRIPT),)
    new = correct(path(case, 0, f"now {texts.SCRIPT}\n\nFinal answer: A", round=1, parents=plan), texts.SCRIPT, 5, "")
    done = case.with_(paths=(*plan, new), difficulty="medium", rounds=1, kept=(new.path_id,))
    return [
        *begun(case),
        Said("paths-verified", case.with_(paths=plan, difficulty="medium"), 2),
        Said("case-accepted", done, 3),
        Said("record-completed", record(done, 0, texts.SCRIPT), 4),
    ]


def all_of_them() -> list[list[Said]]:
    """In the order in which they came."""
    return [medium(), difficult(), refused(), dead(), script(), way_of_easy(), under_way()]
