"""What adaptive sampling spares and what it costs, on real questions with recorded answers.

    .venv/bin/python -m tests.bench.bench_sampling --data ../shared/data [--questions 2000] [--seed 1]

Each question runs through the stages' own handlers in memory, once under the recipe `default` and once with
`sampling: adaptive`, answered from the recordings. The judge is never wrong about a recording's choice; with
--scripted it is the scripted server's, which is wrong in 5% of its verdicts, as in `reasonmed replay`. Prints JSON, by
the route of the full plan: questions; other_routes, which must be 0; the shares of generation and judge calls spared
(judge: verify and score); waves of a case; the mean score of kept paths under both.
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
from services.llm.scripted.asks import Ask
from services.llm.scripted.recorded_author import RecordedAuthor
from services.llm.scripted.script import Script
from services.recipes import load
from services.router.admission import new_case
from services.router.routing_table import more_paths, route
from services.verifier.handler import verify


@dataclass
class Count:
    """Sums over the questions of a route."""

    questions: int = 0
    other_routes: int = 0
    waves: int = 0
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By sampling and stage."""
    scores: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Of kept paths, by sampling."""

    def shown(self) -> dict[str, Any]:
        """For JSON."""

        def spared(*stages: str) -> float:
            full, adaptive = (sum(self.calls[kind, stage] for stage in stages) for kind in ("full", "adaptive"))
            return round(1 - adaptive / full, 4) if full else 0.0

        return {
            "questions": self.questions,
            "other_routes": self.other_routes,
            "generation_spared": spared("generate"),
            "judge_spared": spared("verify", "score"),
            "waves": round(self.waves / self.questions, 3) if self.questions else 0.0,
            "score_of_kept": {kind: round(sum(each) / len(each), 3) for kind, each in self.scores.items() if each},
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
    adaptive = full.with_(sampling="adaptive")
    counts, total = defaultdict[str, Count](Count), Count()
    for case_id in random.Random(options.seed).sample(sorted(questions), min(options.questions, len(questions))):
        submission = Submission(case_id=case_id, question=questions[case_id])
        whole, whole_calls, _ = await decided(submission, full, script, judge)
        fewer, fewer_calls, waves = await decided(submission, adaptive, script, judge)
        for count in (counts[name(whole)], total):
            count.questions += 1
            count.other_routes += name(whole) != name(fewer)
            count.waves += waves
            for kind, calls, case in (("full", whole_calls, whole), ("adaptive", fewer_calls, fewer)):
                count.calls.update({(kind, stage): n for stage, n in calls.items()})
                count.scores[kind] += scores(case)
    found = {**{route: counts[route].shown() for route in sorted(counts)}, "all": total.shown()}
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


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
            emit = more_paths(case_of(judged.message), recipe) or route(case_of(judged.message), recipe.routing)
        except Dead:
            return None, Counter(request.stage for request in models.asked), waves
        case = case_of(emit.message)
        if emit.topic != CASE_UNDECIDED:
            return case, Counter(request.stage for request in models.asked), waves


def case_of(message: object) -> Case:
    assert isinstance(message, Case)
    return message


def answered(script: Script, judge: RecordedAuthor | None, request: Request) -> Outcome:
    ask = Ask(
        stage=request.stage,
        case_id=request.case_id,
        prompt=request.prompt,
        seed=request.seed,
        max_tokens=request.sampling.max_tokens,
        schema=request.schema,
    )
    if judge is not None and request.stage == "verify":
        verdict = "Correct" if judge.holds(ask, ask.path()) else "Error"
        return Reply(json.dumps({"verdict": verdict, "reason": "By the recorded choice."}), "stop", Usage())
    said = script.reply(ask)
    return Reply(said.text, said.finish, Usage())


def name(case: Case | None) -> str:
    return "no route" if case is None else str(case.difficulty)


def scores(case: Case | None) -> list[int]:
    kept = [] if case is None else [case.path(path_id) for path_id in case.kept]
    return [path.score.value for path in kept if path.score is not None and path.score.value is not None]


if __name__ == "__main__":
    asyncio.run(main())
