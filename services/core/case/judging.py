"""Where a judge's reply can matter, with `judge: needed` in the recipe. Pure.

A path that states another answer than gold is in error whatever the judge says, so routes and kept paths are those of
`judge: all`.
"""

from collections.abc import Iterable, Sequence

from services.contracts.case import Case, Path
from services.contracts.recipe import Recipe, Task
from services.core import ids
from services.core.case.answers import stated
from services.core.case.paths import of_round, planned, wording
from services.core.case.sampling import decided

AUDIT = 0.05
"""The share of paths that are judged though no verdict of theirs is needed, where the recipe names none."""


def needs_no_judge(path: Path, case: Case, recipe: Recipe) -> bool:
    """Whether its stated answer alone decides, and it is not among those judged all the same."""
    if recipe.judge == "all" or stated(path.text, case.question) in (None, case.question.answer):
        return False
    share = AUDIT if recipe.audit is None else recipe.audit
    drawn = ids.seed(case.case_id, "audit", path.origin, path.round, path.slot)
    return drawn >= share * 2**31


def awaited_reasons(case: Case, recipe: Recipe) -> list[Path]:
    """The paths that were spared the judge and whose reason a refiner will read: of a medium case or a difficult one,
    where its prompt has a place for them. None while the difficulty is undecided."""
    if recipe.judge == "all":
        return []
    match decided(case, recipe), case.rounds:
        case "medium", 0:
            return _never_judged(planned(case), recipe.refine, "{other_reasons}")
        case "difficult", 0:
            return _never_judged(planned(case), recipe.reason, "{reasons}")
        case "difficult", rounds if rounds < recipe.routing.rounds:
            last = of_round(case, rounds)
            solved = any(path.standing == "correct" for path in last)
            return [] if solved else _never_judged(last, recipe.reason, "{reasons}")
        case _:
            return []


def awaited_scores(case: Case, recipe: Recipe) -> list[Path]:
    """The correct paths whose score is still to be asked for: with `judge: all`, every one that has none; otherwise
    where scores choose which are kept, or tell whether a rewritten path is better than its parent."""
    last = of_round(case, case.rounds) if case.rounds else planned(case)
    correct = [path for path in last if path.standing == "correct"]
    if recipe.judge == "needed" and not _compared(case, correct, recipe):
        return []
    return [path for path in correct if path.score is None]


def spared_a_verdict(path: Path) -> bool:
    """Whether its stated answer alone decided, and no judge was asked."""
    verdict = path.verdict
    by_answer = verdict is not None and verdict.by == "stated_answer" and verdict.stated is not None
    return by_answer and all(call.stage != "verify" for call in path.calls)


def _compared(case: Case, correct: Sequence[Path], recipe: Recipe) -> bool:
    match decided(case, recipe):
        case "medium":
            return True
        case "difficult" if case.rounds == 0:  # what is kept is written by the strong model
            return False
        case None:
            return False
        case _:
            return len({wording(path) for path in correct}) > recipe.routing.keep


def _never_judged(paths: Iterable[Path], reader: Task, placeholder: str) -> list[Path]:
    return [path for path in paths if spared_a_verdict(path)] if placeholder in reader.prompt else []
