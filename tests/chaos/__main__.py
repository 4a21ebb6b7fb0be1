"""`python -m tests.chaos`: runs the stream under faults and checks that nothing is lost."""

import argparse
import asyncio
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import orjson

from services.local.processes.folders import claimed, emptied
from services.local.processes.process import Process, sigterm_cancels
from tests.chaos.controller import inject_all
from tests.chaos.messages import publish_late
from tests.chaos.rig import Options, Rig
from tests.chaos.running import running
from tests.chaos.schedule import Kind, schedule
from tests.chaos.summary import defects, summarise

_ABOUT = """\
Cases go through the stream while a seeded schedule kills, stops and pauses its processes, brokers, ledger and model
server, and writes malformed messages into its topics. At the end every case must have ended once and no paid call may
be lost; FOLDER/summary.json has the counts from topics, ledger and the model server's log. Exit code 0 if so, otherwise
1.

  python -m tests.chaos --cases 3000 --faults 160 --seed 1
  python -m tests.chaos --cases 60 --faults 8 --seed 7 --kinds kill_worker leader_killed
"""
ENDED_WITHIN_S = 600.0
"""Time after the last fault for work in flight: calls of minutes, and waits for recipes."""


def main() -> int:
    """Run it."""
    options, kinds = _options()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it logs every attempt to reach an unavailable broker
    with claimed(options.folder) as folder:
        emptied(folder)
        return asyncio.run(_run(options, kinds))


async def _run(options: Options, kinds: list[Kind]) -> int:
    plan = schedule(options.seed, options.faults, brokers=options.brokers, kinds=kinds)
    began = time.time()
    async with sigterm_cancels(), running(options) as rig:
        injected = await inject_all(rig, plan, options.cases, began + 60 * options.minutes)
        await _all_ended(rig)
        seconds = time.time() - began
        rig.say("draining, completing the dataset, counting")
        await rig.stack.drain()
        await _complete_dataset(rig)
        summary = await summarise(rig, plan, injected, seconds)
    file = options.folder / "summary.json"
    file.write_bytes(orjson.dumps(summary, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    found = defects(summary)
    print(
        f"{file}: {summary['cases']} cases, {summary['ended_once']} ended once, {len(injected)} faults, repeats "
        f"{summary['repeats']}, in {seconds:.0f} s; " + (f"DEFECTS {found}" if found else "no defects")
    )
    return 1 if found else 0


async def _all_ended(rig: Rig) -> None:
    """Wait until all cases end; redrive, like an operator, the dead letters caused by faults."""
    for error in await asyncio.gather(*rig.background, return_exceptions=True):
        if error is not None:
            rig.say(f"a fault in the background failed: {error!r}")
            rig.known.failed += 1
    await rig.submitted()
    for _ in range(3):
        await rig.until(lambda: rig.known.expected <= rig.progress.ends.keys(), ENDED_WITHIN_S)
        dead = sorted(case for case in rig.known.expected if rig.progress.ends.get(case) == "dead")
        rig.say(f"{len(rig.known.expected - rig.progress.ends.keys())} cases open, {len(dead)} dead")
        if not dead:
            return
        await _redrive(rig, dead)


async def _redrive(rig: Rig, dead: Sequence[str]) -> None:
    """Redrive by kind; for `not_yet` by case, since that kind also contains injected poison. Defects are not
    redriven."""
    for case in dead:
        rig.progress.ends.pop(case)
    for kind in ("killer", "too_many_unknown", "no_summary"):
        await rig.command("dead", "redrive", "--kind", kind, "--yes")
    await publish_late(rig)
    for case in rig.known.late & set(dead):
        await rig.command("dead", "redrive", "--case", case, "--yes")


async def _complete_dataset(rig: Rig) -> None:
    """Export the records that the exporter had not read when it stopped."""
    command = rig.stack.command(("exporter", "--once"), "exporter-once")
    async with Process("exporter --once", command.argv, log=command.log, env=command.env, cwd=command.cwd) as exporter:
        await exporter.succeed()


def _options() -> tuple[Options, list[Kind]]:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--cases", type=int, default=3_000, help="questions (default: %(default)s)")
    add(
        "--faults",
        type=int,
        default=160,
        help="number of faults of processes, servers and messages (default: %(default)s)",
    )
    add("--seed", type=int, default=1, help="seed of the schedule (default: %(default)s)")
    add("--brokers", type=int, choices=(1, 3), default=3, help="number of brokers (default: %(default)s)")
    add("--ledger", choices=("sqlite", "valkey"), default="valkey", help="default: %(default)s")
    add("--sampling", choices=("full", "mixed"), default="full", help="mixed: half adaptively (default: %(default)s)")
    add("--minutes", type=float, default=44, help="no fault starts after this time (default: %(default)s)")
    add("--kinds", nargs="*", type=Kind, default=list(Kind), help="only these kinds of faults", metavar="KIND")
    add("--folder", type=Path, default=Path("build/chaos"), help="folder of the run (default: %(default)s)")
    given = parser.parse_args()
    options = Options(
        folder=given.folder.absolute(),
        cases=given.cases,
        faults=given.faults,
        seed=given.seed,
        brokers=given.brokers,
        ledger=given.ledger,
        minutes=given.minutes,
        sampling=given.sampling,
    )
    return options, given.kinds


if __name__ == "__main__":
    sys.exit(main())
