"""What the checks of admission cost and find. Prints JSON. Times are the process's CPU time in microseconds a question:
what the disk takes beside, every admission takes.

    sketch_us            to sketch a question
    evaluation_us        to hold a question against an index of all questions; how long that takes to load, its size
    admit_us             a submission into SQLite among `known` sketches: without a sketch, let in with one, refused;
                         one at a time, and sixteen at once, which share the waits for the disk
    found                of so many questions that were changed so, how many are found at the threshold: another case
                         and punctuation, the options turned round, three words replaced (long: of 50 words or more);
                         and what is found among the questions as they are

Questions: those of a data folder where it is present, else our samples. Known ones beyond them are noise.
"""

import argparse
import asyncio
import gzip
import json
import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from services.contracts.base import CaseId, RecipeId
from services.contracts.question import Question
from services.core import ids
from services.core.dedupe.evaluation_file import dump, load
from services.core.dedupe.evaluation_index import Entry, build
from services.core.dedupe.minhash import BYTES, OPTIONS, WHOLE, Candidate, Sketch, resemblance
from services.core.dedupe.near_duplicates import BANDS, candidate, sketch
from services.core.messages import Position
from services.ledger import Ledger, open_ledger

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "services" / "local" / "samples" / "questions.jsonl"
TIMED = 1_000

Work = Callable[[Question], Awaitable[object]]


def questions(folder: Path) -> list[Question]:
    real = folder / "questions.jsonl.gz"
    data = gzip.decompress(real.read_bytes()) if real.exists() else SAMPLES.read_bytes()
    return [Question.model_validate_json(line) for line in data.splitlines()]


def made_up(asked: Sequence[Question], count: int, seeded: random.Random) -> list[Question]:
    """Questions of the others' words, as long as they are."""
    words = [word for one in asked for text in (one.question, *one.options.values()) for word in text.split()]

    def instead(text: str) -> str:
        return " ".join(seeded.choices(words, k=len(text.split())))

    return [
        one.with_(
            question=instead(one.question),
            options={letter: instead(text) for letter, text in one.options.items()},
            id=f"made-up:{number}",
        )
        for number, one in enumerate(seeded.choices(asked, k=count))
    ]


def each_us(work: Callable[[Question], object], asked: Sequence[Question]) -> float:
    began = time.process_time()
    for one in asked:
        work(one)
    return round((time.process_time() - began) / len(asked) * 1e6, 1)


async def each_us_async(
    work: Callable[[Question], Awaitable[object]], asked: Sequence[Question], at_once: int
) -> float:
    began = time.process_time()
    for start in range(0, len(asked), at_once):
        await asyncio.gather(*(work(one) for one in asked[start : start + at_once]))
    return round((time.process_time() - began) / len(asked) * 1e6, 1)


def noise(number: int, threshold: float, seeded: random.Random) -> Candidate:
    """A sketch of nobody's: as large as any, and quick to make."""
    bands = tuple(seeded.getrandbits(63) for _ in range(BANDS))
    made = Sketch(bands, seeded.randbytes((WHOLE + OPTIONS) * BYTES))
    return Candidate(made, threshold, f"noise:{number}", "Which of the following is it?" * 8)


async def admissions(asked: list[Question], threshold: float, known: int, seeded: random.Random) -> dict[str, Any]:
    offset = iter(range(10**9))

    async def admit(one: Question, minhash: Candidate | None) -> bool:
        position = Position("question-submitted", 0, next(offset))
        case_id = ids.case_id(one)
        said = await ledger.admissions.admit(
            case_id, named=None, current=RecipeId("r"), life=0, position=position, candidate=minhash
        )
        return said.refusal is not None

    async def fill(other: Candidate) -> None:
        position = Position("question-submitted", 0, next(offset))
        await ledger.admissions.admit(
            CaseId(other.id), named=None, current=RecipeId("r"), life=0, position=position, candidate=other
        )

    def prepared(some: Sequence[Question], likeness: bool) -> Callable[[Question], Awaitable[bool]]:
        minhashes = {
            ids.case_id(one): candidate(ids.case_id(one), one, threshold) if likeness else None for one in some
        }
        return lambda one: admit(one, minhashes[ids.case_id(one)])

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        ledger: Ledger
        async with open_ledger(f"sqlite://{path}") as ledger:
            await each_us_async(prepared(asked, True), asked, 32)
            others = [noise(number, threshold, seeded) for number in range(known - len(asked))]
            for start in range(0, len(others), 32):
                await asyncio.gather(*map(fill, others[start : start + 32]))
            figures: dict[str, Any] = {"ledger_mib": round(path.stat().st_size / 2**20, 1)}
            for at_once in (1, 16):
                plain, new = made_up(asked, TIMED, seeded), made_up(asked, TIMED, seeded)
                again = [cased(one, seeded) for one in seeded.sample(asked, min(TIMED, len(asked)))]
                figures[f"{at_once} at once"] = {
                    "without": await each_us_async(prepared(plain, False), plain, at_once),
                    "let_in": await each_us_async(prepared(new, True), new, at_once),
                    "refused": await each_us_async(prepared(again, True), again, at_once),
                }
            return figures


def cased(one: Question, seeded: random.Random) -> Question:
    changed = one.question.upper() if seeded.random() < 0.5 else one.question.lower()
    return one.with_(question=f"{changed.replace(',', ' -')} {'?' * seeded.randint(1, 4)}")


def turned(one: Question, seeded: random.Random) -> Question:
    return one.with_(
        options=dict(zip(one.options, seeded.sample([*one.options.values()], len(one.options)), strict=True))
    )


def replaced(one: Question, seeded: random.Random) -> Question:
    words = one.question.split()
    for place in seeded.sample(range(len(words)), min(3, len(words))):
        words[place] = seeded.choice(("otherwise", "certain", "namely", "recent"))
    return one.with_(question=" ".join(words))


def found(asked: Sequence[Question], threshold: float, seeded: random.Random) -> dict[str, Any]:
    """What sketches and evaluation index each find."""
    index = build((Entry.of("f", one, number), one) for number, one in enumerate(asked))
    sketches = [sketch(one) for one in asked]
    figures: dict[str, Any] = {}
    long = [len(one.question.split()) >= 50 for one in asked]
    for kind, change in (("cased", cased), ("turned", turned), ("replaced", replaced)):
        changed = [change(one, seeded) for one in asked]
        near = [alike(sketch(other), mine, threshold) for other, mine in zip(changed, sketches, strict=True)]
        tested = [index.find(other) is not None for other in changed]
        figures[kind] = {"of": len(asked), "near_duplicate": sum(near), "evaluation_set": sum(tested)}
        if kind == "replaced":
            figures["replaced, long"] = {
                "of": sum(long),
                "near_duplicate": sum(hit for hit, is_long in zip(near, long, strict=True) if is_long),
                "evaluation_set": sum(hit for hit, is_long in zip(tested, long, strict=True) if is_long),
            }
    half = len(asked) // 2
    others = build((Entry.of("f", one, number), one) for number, one in enumerate(asked[:half]))
    hits = [(one, match) for one in asked[half:] if (match := others.find(one))]
    exact = sum(match.similarity == 1.0 for _, match in hits)
    figures["second half held against the first"] = {
        "of": len(asked) - half,
        "hits": len(hits),
        "of these exact": exact,
    }
    bands: dict[int, list[int]] = {}
    pairs = set()
    for number, each in enumerate(sketches):
        for other in {other for band in each.bands for other in bands.get(band, ())}:
            if resemblance(each.signature, sketches[other].signature) >= threshold:
                pairs.add((other, number))
        for band in each.bands:
            bands.setdefault(band, []).append(number)
    same_gold = sum(_gold(asked[one]) == _gold(asked[other]) for one, other in pairs)
    figures["pairs among all"] = {"pairs": len(pairs), "of these with the same gold answer": same_gold}
    return figures


def _gold(one: Question) -> str:
    return "".join(filter(str.isalnum, one.options[one.answer].lower()))


def alike(one: Any, other: Any, threshold: float) -> bool:
    return bool(set(one.bands) & set(other.bands)) and resemblance(one.signature, other.signature) >= threshold


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--known", type=int, default=100_000)
    parser.add_argument("--threshold", type=float, default=0.85)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    asked, seeded = questions(arguments.data), random.Random(arguments.seed)
    whole = dump(build((Entry.of("f", one, number), one) for number, one in enumerate(asked)))
    began = time.perf_counter()
    index = load(whole)
    loaded = time.perf_counter() - began
    unseen = made_up(asked, TIMED, seeded)
    figures = {
        "questions": len(asked),
        "threshold": arguments.threshold,
        "known": arguments.known,
        "sketch_us": each_us(sketch, asked),
        "evaluation_us": {"of a set": each_us(index.find, asked[:TIMED]), "unseen": each_us(index.find, unseen)},
        "index": {"load_ms": round(loaded * 1000, 1), "bytes": len(whole), "runs": len(index.hashes)},
        "found": found(asked, arguments.threshold, seeded),
        "admit_us": asyncio.run(admissions(asked, arguments.threshold, arguments.known, seeded)),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
