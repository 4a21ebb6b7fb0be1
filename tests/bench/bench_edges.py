"""What the edge to model servers bears: the whole stream on real Kafka, two workers of each stage that calls models,
scripted servers behind a proxy that this program controls, or as a pool behind one name.

    .venv/bin/python -m tests.bench.bench_edges [outage refusals storm pool full prefix] [--tree FOLDER]

outage    1,000 questions, and 72 s in which a proxy answers 502 to everything
refusals  1,008 prompts, of which 10 are refused with 403 (a prompt: one call to write a path), beside as many without
storm     256 calls to write paths at once, 10 s each, and 60 s of 429; a flight is 10 s
pool      one server, four, one again
full      four servers that take 16 calls and refuse those beyond 20 with 503, offered 66 each
prefix    where the judge's calls of a case go, of four servers with room

--tree: the folder whose code the workers run, to compare. Prints JSON; exit code 1 if a promise does not hold. CPU is
no part of it: calls take long enough that two shared cores suffice.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from tests.bench.edges import World, bad_gateway, say, world
from tests.kafka.stream import PROJECT, case_ids

Figures = dict[str, Any]
OUTAGE_S, STORM_S, FLIGHT_S = 72.0, 60.0, 10.0
REFUSED, REFUSED_OF = 10, 112
"""Prompts, of so many questions with nine each."""


async def outage(folder: Path, tree: Path, questions: int = 1_000) -> Figures:
    """Everything is answered with 502 for 72 s."""
    async with world(folder, "--slots=512", "--latency=0.2:1", proxied=True, tree=tree) as run:
        asked = await run.submit(questions)
        await _until(lambda: len(run.stream.tap.messages["case-accepted"]) >= questions // 20)
        run.proxy.answer = bad_gateway
        say("502 for everything")
        await asyncio.sleep(OUTAGE_S)
        run.proxy.answer = lambda _: None
        back = time.time()
        await _until(lambda: _first_after(run, "case-accepted", back) is not None)
        say("accepted again")
        await run.until_ended(asked)
        failed = [path for path in run.paths() if path.get("failure")]
        first = _first_after(run, "case-accepted", back)
        assert first is not None
        return {
            "questions": questions,
            "calls answered with 502": sum(one.status == 502 for one in run.proxy.passed),
            "dead letters": run.dead(),
            "failed paths": len(failed),
            "accepted again after s": round(first - back, 1),
            "all ended after s": round(time.time() - back, 1),
            "holds": run.dead() == 0 and not failed and first - back <= 30,
        }


async def refusals(folder: Path, tree: Path) -> Figures:
    """10 of 1,008 prompts are refused, one in each of ten cases in a row."""
    refused: dict[str, str] = {}
    cases: list[str] = []

    def filtered(headers: Mapping[str, str]) -> web.Response | None:
        call_id, case_id = headers["X-Request-Id"].partition(".")[0], headers["X-Case-Id"]
        if headers["X-Stage"] != "generate" or call_id == "probe":
            return None
        if case_id not in cases:
            cases.append(case_id)
            if REFUSED_OF // 4 <= len(cases) < REFUSED_OF // 4 + REFUSED:
                refused[case_id] = call_id
        if refused.get(case_id) != call_id:
            return None
        return web.json_response({"error": {"message": "blocked by the content filter"}}, status=403)

    async with world(folder, "--slots=512", "--latency=3", max_calls=8, proxied=True, tree=tree) as run:
        rates = []
        for answer in (lambda _: None, filtered):
            run.proxy.answer, began = answer, time.time()
            asked = await run.submit(REFUSED_OF)
            wanted = case_ids(asked)
            with suppress(TimeoutError):  # the code before this promise does not come to an end
                await _until(lambda: wanted <= {path["case_id"] for path in run.paths()}, within_s=300)  # noqa: B023
            replies = [one for one in run.proxy.passed if one.at > began and one.stage == "generate"]
            whole = [one.ended for one in replies if one.status == 200]
            rates.append(len(whole) / (max(whole) - min(one.at for one in replies)))
            say(f"{len(whole)} replies, {rates[-1]:.2f} a second")
        unknown = {path["case_id"]: path["failure"] for path in run.paths() if path.get("failure")}
        kept = rates[1] / rates[0]
        return {
            "prompts": REFUSED_OF * 9,
            "refused": len(refused),
            "replies a second, without and with": [round(rate, 2) for rate in rates],
            "throughput kept": round(kept, 3),
            "sends of refused prompts": sum(one.status == 403 for one in run.proxy.passed),
            "unknown paths": len(unknown),
            "holds": kept >= 0.95 and unknown.keys() == refused.keys() and len(refused) == REFUSED,
        }


async def storm(folder: Path, tree: Path) -> Figures:
    """60 s of 429 at 256 calls at once."""

    def too_many(_: Mapping[str, str]) -> web.Response:
        return web.json_response({"error": {"message": "slow down"}}, status=429, headers={"Retry-After": "1"})

    async with world(folder, "--slots=1024", f"--latency={FLIGHT_S}", max_calls=43, proxied=True, tree=tree) as run:
        await run.submit(800)
        await _until(lambda: run.proxy.replied(0, time.time()) >= 2 * 256)
        before = time.time()
        await asyncio.sleep(3 * FLIGHT_S)
        former = run.proxy.replied(before, time.time()) / (time.time() - before)
        run.proxy.answer = too_many
        say(f"429 for everything; {former:.1f} replies a second before")
        await asyncio.sleep(STORM_S)
        run.proxy.answer = lambda _: None
        over = time.time()
        await asyncio.sleep(6 * FLIGHT_S + 1)
        flights = [run.proxy.replied(over + n * FLIGHT_S, over + (n + 1) * FLIGHT_S) / FLIGHT_S for n in range(6)]
        return {
            "replies a second before": round(former, 2),
            "by flight after": [round(rate, 2) for rate in flights],
            "after five flights, of the former rate": round(flights[5] / former, 3),
            "dead letters": run.dead(),
            "holds": flights[5] >= 0.9 * former and run.dead() == 0,
        }


async def pool(folder: Path, tree: Path) -> Figures:
    """1, 4, 1 servers."""
    async with world(folder, "--slots=16", "--latency=2", servers=4, max_calls=4, tree=tree) as run:
        asked = await run.submit(250)
        await _until(lambda: len(run.pool.log(1)) > 200)
        alone_from = time.time()
        await asyncio.sleep(30)
        grown = run.pool.name(1, 2, 3, 4)
        say("four servers")
        await asyncio.sleep(40)
        shrunk = run.pool.name(1)
        say("one server")
        await asyncio.sleep(25)
        late = sum(_count(run, n, "start", "at", shrunk + 10, time.time()) for n in (2, 3, 4))
        if tree == PROJECT:
            run.pool.name(1, 2, 3, 4)
            await run.until_ended(asked)
        first = {n: _count(run, n, "start", "at", grown, grown + 10) for n in (1, 2, 3, 4)}
        shares = {n: round(count / sum(first.values()), 3) for n, count in first.items()}
        alone = _count(run, 1, "end", "end", alone_from, grown) / (grown - alone_from)
        four = sum(_count(run, n, "end", "end", grown + 10, grown + 40) for n in (1, 2, 3, 4)) / 30
        lines = [line for n in (1, 2, 3, 4) for line in run.pool.log(n)]
        starts = Counter(line["id"] for line in lines if line["event"] == "start")
        failed = sum(line["event"] == "end" and line["status"] != 200 for line in lines)
        repeated = sum(count > 1 for count in starts.values())
        return {
            "calls": len(starts),
            "share of the calls in the first 10 s, by server": shares,
            "calls a second, one and four": [round(alone, 2), round(four, 2)],
            "times": round(four / alone, 2),
            "calls to the three 10 s after they left": late,
            "failed": failed,
            "repeated": repeated,
            "holds": min(shares.values()) >= 0.15 and four >= 3.4 * alone and not (late or failed or repeated),
        }


async def full(folder: Path, tree: Path) -> Figures:
    """Servers that refuse beyond their room."""
    options = ("--slots=16", "--queue=4", "--full=503", "--latency=4")
    async with world(folder, *options, servers=4, max_calls=11, tree=tree) as run:
        run.pool.name(1, 2, 3, 4)
        await run.submit(400)
        await _until(lambda: sum(len(run.pool.log(n)) for n in (1, 2, 3, 4)) > 200)
        await asyncio.sleep(30)
        since = time.time()
        await asyncio.sleep(120)
        until = time.time()
        ends = [line for n in (1, 2, 3, 4) for line in run.pool.log(n) if line["event"] == "end"]
        inside = [line for line in ends if since <= float(str(line["end"])) < until]
        served, refused = (sum(line["status"] == status for line in inside) for status in (200, 503))
        share = served / (until - since) / (4 * 16 / 4)
        return {
            "served a second": round(served / (until - since), 2),
            "of capacity": round(share, 3),
            "refused for each served": round(refused / served, 3),
            "dead letters": run.dead(),
            "holds": share >= 0.95 and run.dead() == 0,
        }


async def prefix(folder: Path, tree: Path) -> Figures:
    """A case's judge calls and the servers' prefix caches."""
    async with world(folder, "--slots=64", "--latency=0.5", servers=4, tree=tree) as run:
        run.pool.name(1, 2, 3, 4)
        await asyncio.sleep(10)
        asked = []
        for _ in range(50):
            asked += await run.submit(2)
            await asyncio.sleep(1)
        await run.until_ended(asked)
        met: defaultdict[object, Counter[int]] = defaultdict(Counter)
        for n in (1, 2, 3, 4):
            for line in run.pool.log(n):
                if line["event"] == "start" and line["stage"] in ("verify", "score"):
                    met[line["case"]][n] += 1
        total = sum(counts.total() for counts in met.values())
        together = sum(max(counts.values()) for counts in met.values()) / total
        by_server = sum(met.values(), Counter[int]())
        return {
            "judge calls": total,
            "on the case's main server": round(together, 3),
            "by server": {n: round(count / total, 3) for n, count in sorted(by_server.items())},
            "holds": together >= 0.9,
        }


SCENARIOS: dict[str, Callable[[Path, Path], Awaitable[Figures]]] = {
    one.__name__: one for one in (outage, refusals, storm, pool, full, prefix)
}


def _count(run: World, number: int, event: str, when: str, since: float, until: float) -> int:
    lines = run.pool.log(number)
    return sum(line["event"] == event and since <= float(str(line[when])) < until for line in lines)


def _first_after(run: World, topic: str, since: float) -> float | None:
    stamps = [message.timestamp_ms / 1000 for message in run.stream.tap.messages[topic]]
    return min((stamp for stamp in stamps if stamp > since), default=None)


async def _until(holds: Callable[[], bool], within_s: float = 900.0) -> None:
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 -- logs and proxies tell of no change by themselves
            await asyncio.sleep(0.5)


async def _run(names: list[str], tree: Path) -> dict[str, Figures]:
    figures = {}
    for name in names:
        say(name)
        with tempfile.TemporaryDirectory() as folder:
            figures[name] = await SCENARIOS[name](Path(folder), tree)
        say(f"{name}: {figures[name]}")
    return figures


def main() -> int:
    """Run them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(SCENARIOS), metavar="SCENARIO")
    parser.add_argument("--tree", type=Path, default=PROJECT)
    given = parser.parse_args()
    figures = asyncio.run(_run(given.names, given.tree.absolute()))
    sys.stdout.write(orjson.dumps(figures, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode() + "\n")
    return 0 if all(one["holds"] for one in figures.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
