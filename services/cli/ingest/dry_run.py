"""`reasonmed submit --dry-run`: what would be taken and refused, and the first question as it would be read."""

from collections.abc import Sequence
from dataclasses import asdict

from services.cli.console import emit, out
from services.cli.ingest.progress import SHOWN, say, say_passed_over
from services.importers.dry_run import Preview, preview, preview_stdin
from services.importers.folders import PassedOver, walk
from services.importers.formats import Asked
from services.importers.places import File


def dry_run(paths: Sequence[File], asked: Asked, *, json: bool) -> int:
    """Read files and folders, or standard input where there are none; print what they come to. Returns the exit code
    that submitting them would have."""

    previews: list[Preview] = [] if paths else [preview_stdin(asked)]
    passed_over: list[PassedOver] = []
    for path in paths:
        if not path.is_dir():
            previews.append(preview(path, asked))
            continue
        walked = walk(path)
        passed_over += walked.passed_over
        previews += [preview(file, asked) for file in walked.files]
    if json:
        emit(_report(previews, passed_over))
    else:
        _print(previews, passed_over)
    refused = any(one.rejected or one.state == "refused" for one in previews)
    return 1 if refused or not any(one.accepted for one in previews) else 0


def _report(previews: Sequence[Preview], passed_over: Sequence[PassedOver]) -> dict[str, object]:
    return {
        "dry_run": True,
        "accepted": sum(one.accepted for one in previews),
        "rejected": sum(one.rejected for one in previews),
        "flagged": sum(one.flagged for one in previews),
        "files": [asdict(one) for one in previews],
        "passed_over": [asdict(one) for one in passed_over],
    }


def _print(previews: Sequence[Preview], passed_over: list[PassedOver]) -> None:
    say_passed_over(passed_over)
    for one in previews:
        if one.state == "refused":
            say(f"{one.name}: refused: {one.why}")
            continue
        if one.notice:
            say(f"{one.name}: {one.notice}")
        for row in one.rows[:SHOWN]:
            say(f"{one.name}: line {row['line']}: " + (row.get("flagged") or f"{row['field']}: {row['why']}"))
        if len(one.rows) > SHOWN:
            say(f"{one.name}: and more, see --json")
        counts = f"{one.accepted:,} would be submitted ({one.flagged:,} flagged), {one.rejected:,} rejected"
        out.print(f"{one.name}: detected format: {one.format}; {counts}", highlight=False, markup=False, soft_wrap=True)
        if one.first:
            _print_question(one.first)
    total = sum(one.accepted for one in previews)
    out.print(f"{total} questions would be submitted.", highlight=False)


def _print_question(question: dict[str, object]) -> None:
    options = question["options"]
    assert isinstance(options, dict)
    out.print(f"  {question['question']}", highlight=False, markup=False)
    for letter, text in options.items():
        mark = "*" if letter == question["answer"] else " "
        out.print(f"  {mark} {letter}  {text}", highlight=False, markup=False)
