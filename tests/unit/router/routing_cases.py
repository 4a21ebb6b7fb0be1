"""Cases for the router's rules, as generated, and what is read from a routed one."""

from collections.abc import Callable

from hypothesis import assume
from hypothesis import strategies as st

from services.contracts.case import Case, Path
from services.contracts.recipe import Routing
from services.core.case.paths import best, planned
from services.core.errors import Dead
from services.core.messages import Emit
from services.router.routing_table import route
from tests import strategies
from tests.strategies import case, correct, path, verified, wrong

ROUTING = Routing()


def outcome(case: Case, routing: Routing) -> Emit | str:
    """The one message, or the kind of the dead letter."""
    try:
        return route(case, routing)
    except Dead as dead:
        return dead.kind


def routed(emit: Emit) -> Case:
    assert isinstance(emit.message, Case)
    return emit.message


def kept(emit: Emit) -> list[Path]:
    return [routed(emit).path(path_id) for path_id in routed(emit).kept]


def count(case: Case, standing: str) -> int:
    return sum(path.standing == standing for path in planned(case))


@st.composite
def back_from_medium(draw: st.DrawFn) -> Case:
    """A medium case whose best paths were rewritten and verified."""
    first = draw(strategies.first_verified())
    parents = best(planned(first), draw(st.integers(1, 4)))
    assume(parents)
    rewritten = [
        draw(verified(path(first, slot, origin="refined", round=1, parents=(parent.path_id,))))
        for slot, parent in enumerate(parents)
    ]
    paths = draw(st.permutations([*first.paths, *rewritten]))
    return first.with_(paths=tuple(paths), rounds=1, difficulty="medium")


@st.composite
def back_from_difficult(draw: st.DrawFn) -> Case:
    """A difficult case after some rounds of the strong model; none but the last brought a correct path."""
    first = draw(strategies.first_verified())
    rounds = draw(st.integers(1, 3))
    new = [
        draw(verified(path(first, slot, origin="regenerated", round=round)))
        for round in range(1, rounds + 1)
        for slot in range(draw(st.integers(1, 3)))
    ]
    new = [made if made.round == rounds or made.standing != "correct" else wrong(made) for made in new]
    paths = draw(st.permutations([*first.paths, *new]))
    return first.with_(paths=tuple(paths), rounds=rounds, difficulty="difficult")


any_case = strategies.first_verified() | back_from_medium() | back_from_difficult()


def nine(*made: Callable[[Path], Path]) -> Case:
    """A case whose paths are these, in plan order, and in error from there on."""
    new = case()
    return new.with_(paths=tuple((made[n] if n < len(made) else wrong)(path(new, n)) for n in range(9)))


def scored(score: int | None) -> Callable[[Path], Path]:
    return lambda made: correct(made, score)
