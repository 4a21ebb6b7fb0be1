"""What `sampling: adaptive` and `judge: needed` spare and cost, on real questions with recorded answers.

    .venv/bin/python -m tests.bench.bench_sampling --data ../shared/data [--questions 2000] [--seed 1]

Each question runs through the stages' own handlers in memory until it is routed, under the recipe `default` and with
either field or both, answered from the recordings. The judge is never wrong about a recording's choice; with
--scripted it is the scripted server's, which is wrong in 5% of its verdicts, as in `reasonmed replay`. Prints JSON, by
the route of the full plan: questions; and by field: other_routes, which must be 0; the shares of generation and judge
calls spared (judge: verify and score), and of verdicts and scores alone; waves of a case; the mean score of kept paths.
"""

import argparse
import asyncio
import json
import random
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.contracts.case import Case, Usage
from services.contracts.question import Submission
from services.contracts.recipe import Recipe
from services.contracts.topics import CASE_UNDECIDED, PATHS_GENERATED
from services.core import ids
from services.core.errors import Dead
from services.core.ledger.calls import Outcome, Reply, Request
from services.generator.handler import generate
from services.llm.fake import ScriptedModels
from services.llm.scripted import recorded_author
from services.llm.scripted.recorded_author import RecordedAuthor
from services.llm.scripted.script import Script
from services.local.audit.full_plan import answer, asked
from services.recipes import load
from services.router.admission import new_case
from services.router.routing_table import onward
from services.verifier.handler import verify

KINDS: dict[str, dict[str, str]] = {
    "full": {},
    "adaptive": {"sampling": "adaptive"},
    "needed": {"judge": "needed"},
    "adaptive, needed": {"sampling": "adaptive", "judge": "needed"},
}


@dataclass
class Count:
    """Sums over the questions of a route, by kind."""

    questions: int = 0
    other_routes: Counter[str] = field(default_factory=Counter)
    waves: Counter[str] = field(default_factory=Counter)
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Also by stage."""
    scores: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Of kept paths."""

    def shown(self) -> dict[str, Any]:
        """For JSON."""
        return {"questions": self.questions, **{kind: self._of(kind) for kind in KINDS}}

    def _of(self, kind: str) -> dict[str, Any]:
        def spared(*stages: str) -> float:
            full, fewer = (sum(self.calls[each, stage] for stage in stages) for each in ("full", kind))
            return round(1 - fewer / full, 4) if full else 0.0

        kept = self.scores[kind]
        return {
            "other_routes": self.other_routes[kind],
            "generation_spared": spared("generate"),
            "judge_spared": spared("verify", "score"),
            "verdicts_spared": spared("verify"),
            "scores_spared": spared("score"),
            "waves": round(self.waves[kind] / self.questions, 3) if self.questions else 0.0,
            "score_of_kept": round(sum(kept) / len(kept), 3) if kept else None,
        }


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--questions", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scripted", action="store_true", help="the scripted server's judge")
    options = parser.parse_args()
    if not options.data.exists():
        sys.stdout.write(json.dumps({"skipped": f"there is no {options.data}"}) + "\n")
        return
    questions, author = recorded_author.load(options.data, seed=options.seed)
    script = Script(questions, author, seed=options.seed)
    judge = None if options.scripted else author
    full = load("default")
    counts, total = defaultdict[str, Count](Count), Count()
    for case_id in random.Random(options.seed).sample(sorted(questions), min(options.questions, len(questions))):
        submission = Submission(case_id=case_id, question=questions[case_id])
        found = {kind: await decided(submission, full.with_(**fields), script, judge) for kind, fields in KINDS.items()}
        route = name(found["full"][0])
        for count in (counts[route], total):
            count.questions += 1
            for kind, (case, calls, waves) in found.items():
                count.other_routes[kind] += name(case) != route
                count.waves[kind] += waves
                count.calls.update({(kind, stage): n for stage, n in calls.items()})
                count.scores[kind] += scores(case)
    shown = {**{route: counts[route].shown() for route in sorted(counts)}, "all": total.shown()}
    sys.stdout.write(json.dumps(shown, indent=2) + "\n")


async def decided(
    submission: Submission, recipe: Recipe, script: Script, judge: RecordedAuthor | None
) -> tuple[Case | None, Counter[str], int]:
    """The routed case (None: too many unknown paths), its calls by stage, and its waves."""
    models = ScriptedModels(lambda request: answered(script, judge, request))
    case, waves = new_case(submission, ids.recipe_id(recipe)), 0
    while True:
        waves += 1
        (made,) = await generate(case, recipe, models)
        assert (made.topic, isinstance(made.message, Case)) == (PATHS_GENERATED, True)
        (judged,) = await verify(case_of(made.message), recipe, models)
        try:
            emit = onward(case_of(judged.message), recipe)
        except Dead:
            return None, Counter(request.stage for request in models.asked), waves
        case = case_of(emit.message)
        if emit.topic != CASE_UNDECIDED:
            return case, Counter(request.stage for request in models.asked), waves


def case_of(message: object) -> Case:
    assert isinstance(message, Case)
    return message


def answered(script: Script, judge: RecordedAuthor | None, request: Request) -> Outcome:
    if judge is None or request.stage != "verify":
        return answer(script, request)
    ask = asked(request)
    verdict = "Correct" if judge.holds(ask, ask.path()) else "Error"
    return Reply(json.dumps({"verdict": verdict, "reason": "By the recorded choice."}), "stop", Usage())


def name(case: Case | None) -> str:
    return "no route" if case is None else str(case.difficulty)


def scores(case: Case | None) -> list[int]:
    kept = [] if case is None else [case.path(path_id) for path_id in case.kept]
    return [path.score.value for path in kept if path.score is not None and path.score.value is not None]


if __name__ == "__main__":
    asyncio.run(main())
