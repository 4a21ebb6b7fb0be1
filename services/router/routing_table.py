"""The routing table: where a verified case goes, as a pure function of the case and its recipe."""

from typing import assert_never

from services.contracts.case import Case, Path
from services.contracts.recipe import Recipe, Routing
from services.contracts.topics import CASE_ACCEPTED, CASE_DIFFICULT, CASE_MEDIUM, CASE_REJECTED, CASE_UNDECIDED
from services.core.case.paths import best, of_round, planned, rank, wording
from services.core.case.sampling import classify, next_slots
from services.core.case.spared import spared
from services.core.errors import Dead
from services.core.messages import Emit


def onward(case: Case, recipe: Recipe) -> Emit:
    """The one message for a case in which every path is verified: for more paths of the plan, or by the routing table;
    at the case's end with the calls that it did not need. Raises Dead as `route`."""
    emit = more_paths(case, recipe) or route(case, recipe.routing)
    if emit.topic in (CASE_ACCEPTED, CASE_REJECTED):
        assert isinstance(emit.message, Case)
        return _emit(emit.topic, emit.message.with_(spared=spared(emit.message, recipe)))
    return emit


def route(case: Case, routing: Routing) -> Emit:
    """The one message for a case in which every path is verified.

    Raises Dead('too_many_unknown') where no route is known: a broken judge must not send everything to the most
    expensive model.
    """
    if case.difficulty is None:
        case = _classified(case, routing)
    difficulty = case.difficulty
    assert difficulty is not None
    match difficulty:
        case "easy":
            return _accept(case, best(planned(case), routing.keep))
        case "medium":
            return _emit(CASE_MEDIUM, case) if case.rounds == 0 else _accept(case, _improved(case))
        case "difficult":
            return _emit(CASE_DIFFICULT, case) if case.rounds == 0 else _after_strong_model(case, routing)
        case _:
            assert_never(difficulty)


def more_paths(case: Case, recipe: Recipe) -> Emit | None:
    """The message that asks for more paths of the plan, where the recipe samples adaptively and these could still
    decide; None where the case can be routed."""
    if recipe.sampling == "full" or case.difficulty is not None or not next_slots(case, recipe):
        return None
    return _emit(CASE_UNDECIDED, case.with_(wave=(case.wave or 0) + 1))


def disputed(paths: list[Path], gold: str) -> bool:
    """Whether all paths that state an answer state the same one, and not the gold answer."""
    stated = {path.verdict.stated for path in paths if path.verdict is not None and path.verdict.stated is not None}
    return len(stated) == 1 and gold not in stated


def _classified(case: Case, routing: Routing) -> Case:
    paths = planned(case)
    unknown = sum(path.standing == "unknown" for path in paths)
    if unknown > routing.max_unknown:
        raise Dead(
            "too_many_unknown",
            f"{unknown} of {len(paths)} paths are unknown, {routing.max_unknown} may be: see their failures and "
            "reasons; mend the model or the judge, then redrive",
        )
    correct = sum(path.standing == "correct" for path in paths)
    return case.with_(difficulty=classify(correct, routing), gold_disputed=disputed(paths, case.question.answer))


def _improved(case: Case) -> list[Path]:
    """Each rewritten path in its parent's place, if it is correct and scores at least as high; else the parent.

    So refinement never makes a case worse; two paths of the same text never replace two that differ. A rewritten path
    without a score replaces nothing.
    """
    _require_a_verdict(case)
    rewritten = of_round(case, case.rounds)
    kept = [case.path(path.parents[0]) for path in rewritten]
    for place, path in enumerate(rewritten):
        better = path.standing == "correct" and rank(path) >= max(rank(kept[place]), 0)
        others = {wording(other) for other in (*kept[:place], *kept[place + 1 :])}
        if better and wording(path) not in others:
            kept[place] = path
    return best(kept, len(kept))


def _after_strong_model(case: Case, routing: Routing) -> Emit:
    """Accept the strong model's correct paths; else ask it again, up to the recipe's rounds, then reject."""
    _require_a_verdict(case)
    if right := best(of_round(case, case.rounds), routing.keep):  # an earlier round had none, or it was the last
        return _accept(case, right)
    if case.rounds < routing.rounds:
        return _emit(CASE_DIFFICULT, case)
    return _emit(CASE_REJECTED, case.with_(rejected=f"no correct path after {case.rounds} rounds of the strong model"))


def _require_a_verdict(case: Case) -> None:
    """At least one path of the last round must have a verdict."""
    if all(path.standing == "unknown" for path in of_round(case, case.rounds)):
        raise Dead(
            "too_many_unknown",
            f"all paths of refining round {case.rounds} are unknown: see their failures and reasons; mend the model or "
            "the judge, then redrive",
        )


def _accept(case: Case, kept: list[Path]) -> Emit:
    return _emit(CASE_ACCEPTED, case.with_(kept=tuple(path.path_id for path in kept)))


def _emit(topic: str, case: Case) -> Emit:
    return Emit(topic, case.case_id, case)
