"""The scripted model server's command: `python -m services.llm.scripted --help`."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path
from typing import get_args

from aiohttp import web

from services.llm.scripted import known, recorded_author
from services.llm.scripted.faults import KINDS, WindowKind
from services.llm.scripted.log import Log
from services.llm.scripted.script import Script
from services.llm.scripted.scripted_author import ScriptedAuthor
from services.llm.scripted.server import BACKLOG, Latency, Load, ScriptedServer

_ABOUT = """\
A model server that plays by a script: POST /v1/chat/completions (OpenAI-compatible, no streaming), GET /v1/models,
GET /health. Any model name will do. The same request gets the same reply, whatever came before.

It learns what a call is for from two headers, which the services send with every call:
  X-Stage     generate, verify, score, refine, reason, summarize, evaluate or benchmark
  X-Case-Id   which question it is about (it knows the case ids of its questions)
Without them it answers as a plain chat. X-Request-Id (the call id) and X-Owner go into the log.

Of its replies, --fault-rate go wrong, by the seed, the call id and the number of times that the call was made:
  {kinds}
And a controller can open windows of trouble, for the calls that begin from now on:
  POST /faults     {{"kind": "429", "seconds": 5, "share": 0.5}}; kinds: {windows}
                   (slow: "delay_s": 120)
  DELETE /faults   all windows end now
"""

_EXAMPLES = """\
examples
  thirty sample questions, scripted chains of thought of all difficulties, 16 calls at once, 0.2 s each:
    python -m services.llm.scripted --port 8100 --slots 16 --latency 0.2 --seed 7
  what real models wrote on real questions (a folder with questions.jsonl.gz and recordings.jsonl.gz),
  each call between 0.1 and 20 s, and a log against which the ledger can be held:
    python -m services.llm.scripted --port 8100 --data ../shared/data --latency 0.1:20 --log calls.jsonl
  six calls in a hundred go wrong; and now, for ten seconds, none begins that ever ends:
    python -m services.llm.scripted --port 8100 --fault-rate 0.06
    curl -d '{"kind": "hang", "seconds": 10}' http://127.0.0.1:8100/faults
  ask it:
    curl -H 'X-Stage: generate' -H 'X-Case-Id: case-…' http://127.0.0.1:8100/v1/chat/completions \\
      -d '{"model": "any", "seed": 1, "messages": [{"role": "user", "content": "…"}]}'

the log
  a JSON line when a request starts (event: start) and one when it ends (event: end): n, server, id, owner, stage,
  case; at the end start, end (Unix seconds), status (null and "reset": true where the client went away first), text
  (SHA-256 of the reply's text, 16 hex digits), finish, usage, and by stage: stated, gold, path, verdict, score; of what
  went wrong on purpose, fault (its kind), and withheld where no whole reply could be read. A window is a line as well.
"""


def main(argv: list[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT."""
    options = _parser().parse_args(argv)
    script = _script(options)
    log = Log(options.log)
    try:
        asyncio.run(_serve(options, script, log))
    finally:
        log.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.llm.scripted",
        description=_ABOUT.format(kinds=", ".join(KINDS), windows=", ".join(get_args(WindowKind))),
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, required=True, help="port to listen on; 0: a free one, which is printed")
    add("--slots", type=int, default=16, help="calls served at once; more wait (default: %(default)s)")
    add("--queue", type=int, default=None, help="calls that may wait; more are refused (default: any number)")
    add("--full", type=int, choices=(429, 503), default=429, help="how they are refused (default: %(default)s)")
    add("--refuse-share", type=_share, default=0.0, help="of the prompts, so many get 403: 0 to 1 (default: none)")
    add("--latency", type=Latency.parse, default="0", help="seconds a call, or least:most (default: %(default)s)")
    add("--seed", type=int, default=0, help="another seed, another script (default: %(default)s)")
    add("--questions", type=Path, default=known.SAMPLES, help="known questions, JSON lines (default: the samples)")
    add("--data", type=Path, default=None, help="replay this folder's recordings, of its questions")
    add("--reply-bytes", type=int, default=0, help="pad scripted chains of thought to so many bytes")
    add("--fault-rate", type=_share, default=0.0, help="of the replies, so many go wrong: 0 to 1 (default: none)")
    add("--log", type=Path, default=None, help="append a line for each start and end of a request to this file")
    return parser


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text}: give a share from 0 to 1")
    return share


def _script(options: argparse.Namespace) -> Script:
    if options.data is not None:
        questions, author = recorded_author.load(options.data, seed=options.seed)
        return Script(questions, author, seed=options.seed)
    questions = known.questions(options.questions)
    scripted = ScriptedAuthor(questions, seed=options.seed, reply_bytes=options.reply_bytes)
    return Script(questions, scripted, seed=options.seed)


async def _serve(options: argparse.Namespace, script: Script, log: Log) -> None:
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    load = Load(options.slots, options.latency, options.queue, options.full, options.refuse_share)
    server = ScriptedServer(script, load, log, seed=options.seed, fault_rate=options.fault_rate)
    runner = web.AppRunner(server.app(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, options.host, options.port, backlog=BACKLOG)
    await site.start()
    sys.stdout.write(f"scripted model server: {_address(runner)}/v1\n")
    sys.stdout.flush()
    try:
        await stop.wait()
    finally:
        await runner.cleanup()


def _address(runner: web.AppRunner) -> str:
    host, port = runner.addresses[0][:2]
    return f"http://{host}:{port}"


if __name__ == "__main__":
    main()
