"""Bounded runs on this machine, watched to their summary."""

from services.cli.console import Failed, emit, err, out
from services.cli.run.view import summary, watching
from services.local.demo import Part, perform
from services.local.processes.process import sigterm_cancels
from services.local.run import Result
from services.runtime.process.settings import inherited


async def perform_watched(part: Part) -> Result:
    """Run a part with its progress on stderr. SIGTERM and SIGHUP drain it."""
    async with sigterm_cancels():
        with watching(err, part.title) as view:
            return await perform(part, inherited(), show=view.show, say=view.say)


def report(results: list[tuple[Part, Result]], json: bool) -> None:
    """Print the summaries. Raises Failed where a question has not ended, or a fault is not 0."""
    if json:
        emit({part.folder.name: dict(result.audit) for part, result in results})
    else:
        for part, result in results:
            summary(out, part.title, result, str(part.folder))
    for part, result in results:
        if result.open:
            raise Failed(
                f"{part.title}: {len(result.open)} of {len(part.questions)} questions have not ended within "
                f"{part.deadline_s:.0f} s; see the logs in {part.folder / 'logs'}"
            )
        if result.faults:
            raise Failed(f"{part.title}: {', '.join(result.faults)} must be 0; see {part.folder / 'summary.json'}")
