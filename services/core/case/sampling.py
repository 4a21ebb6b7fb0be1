"""A case's difficulty, and with adaptive sampling which of the plan's paths could still decide it. Pure.

With c paths correct so far and r not asked for yet, the full plan ends with c to c + r correct paths. The difficulty is
decided as soon as both ends have the same one. Until then, each wave asks for the smallest number of paths that could
decide it. An unknown path is never correct, as with the full plan.
"""

from services.contracts.case import Case, Difficulty
from services.contracts.recipe import Recipe, Routing
from services.core import ids
from services.core.case.paths import planned


def classify(correct: int, routing: Routing) -> Difficulty:
    """The difficulty of a question, by the number of the plan's paths found correct."""
    if correct >= routing.easy:
        return "easy"
    return "medium" if correct >= routing.medium else "difficult"


def decided(case: Case, recipe: Recipe) -> Difficulty | None:
    """The difficulty of a case whose paths are verified; None while more of the plan could change it, and with more
    unknown paths than the recipe allows."""
    if case.difficulty is not None:
        return case.difficulty
    paths = planned(case)
    if sum(path.standing == "unknown" for path in paths) > recipe.routing.max_unknown:
        return None
    if recipe.sampling == "adaptive" and next_slots(case, recipe):
        return None
    return classify(sum(path.standing == "correct" for path in paths), recipe.routing)


def next_slots(case: Case, recipe: Recipe) -> tuple[int, ...]:
    """The slots of the plan to ask for now, in plan order; none once the difficulty is decided and `keep` correct paths
    are there, or while paths wait for their verdict.

    The difficulty that follows is that of the full plan, for every order of slots and every reply. Except: the full
    plan may have more than `max_unknown` unknown paths, and so no route, where fewer paths decide.
    """
    done = planned(case)
    if any(path.standing == "unverified" for path in done):
        return ()
    if sum(path.standing == "unknown" for path in done) > recipe.routing.max_unknown:
        return ()
    asked = {path.slot for path in done}
    left = [slot for slot in order(case, recipe) if slot not in asked]
    correct = sum(path.standing == "correct" for path in done)
    return tuple(sorted(left[: fewest(correct, len(left), recipe.routing)]))


def order(case: Case, recipe: Recipe) -> list[int]:
    """The plan's slots in the order in which they are asked for: shuffled by case, so that the kept paths of easy cases
    do not all come from the plan's first models."""
    return sorted(range(len(recipe.generate.plan)), key=lambda slot: ids.digest("order", case.case_id, slot))


def fewest(correct: int, left: int, routing: Routing) -> int:
    """The smallest number of further paths that could decide the case, with `correct` paths and `left` not asked for;
    0 if it is decided."""
    easy = routing.easy - correct
    missing = max(0, routing.medium - correct)
    # Medium: enough correct paths, and too few left for an easy case. Difficult: too few left for a medium one.
    medium = max(missing, correct + missing + left - routing.easy + 1)
    difficult = correct + left - routing.medium + 1 if correct < routing.medium else left + 1
    to_decide = max(0, min(easy, medium, difficult))
    if to_decide == 0 and correct >= routing.medium:
        to_decide = max(0, routing.keep - correct)
    return min(to_decide, left)
