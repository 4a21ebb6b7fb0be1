"""What `reasonmed benchmark` prints."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.cli.console import Column, out, print_table

_FIXED = (Column("set"), Column("subject"), Column("questions", right=True), Column("accuracy, 95%"))
_LAST = (
    Column("stated", right=True),
    Column("cut off", right=True, drop=2),
    Column("failed", right=True, drop=1),
)


def show(report: Mapping[str, Any], stats: Mapping[str, int], to: Path) -> None:
    """Print figures, differences and usage."""
    voted = [name for name in report["groups"][0] if "@" in name]
    columns = (*_FIXED, *(Column(f"{name}, 95%") for name in voted), *_LAST)
    print_table(columns, [_row(group, voted) for group in report["groups"]])
    for one in report.get("against", {}).get("differences", ()):
        p = f", McNemar p {one['mcnemar_p']:.3f}" if "mcnemar_p" in one else ""
        out.print(
            f"{one['set']}: {_points(one['difference'])} points against {report['against']['model']['served']} on "
            f"{one['questions']} questions in both{p}",
            highlight=False,
        )
    used = report["usage"]
    out.print(
        f"{used['calls']} calls ({stats['replied']} replied now, {stats['from_ledger']} from the ledger; "
        f"{stats['sent']} requests sent), "
        f"{used['tokens_in']:,} tokens in, {used['tokens_out']:,} out, ${used['cost_usd']:.2f}; {to}",
        highlight=False,
        soft_wrap=True,
    )
    if not report["weights"]["verified"]:
        out.print("The revision is unverified: nothing shows which weights answered.", highlight=False)


def _row(group: Mapping[str, Any], voted: list[str]) -> list[str]:
    stated = "–" if group["stated"] is None else f"{group['stated']:.1%}"
    shares = [_share(group["accuracy"]), *(_share(group[name]) for name in voted)]
    counts = [stated, str(group["cut_off"]), str(group["failed"])]
    return [group["set"], group["subject"], str(group["questions"]), *shares, *counts]


def _share(found: Mapping[str, float | None]) -> str:
    if found["mean"] is None:
        return "–"
    interval = "" if found["low"] is None else f", {found['low']:.1%} to {found['high']:.1%}"
    return f"{found['mean']:.1%}{interval}"


def _points(found: Mapping[str, float | None]) -> str:
    mean, low, high = (None if value is None else 100 * value for value in (found["mean"], found["low"], found["high"]))
    interval = "" if low is None or high is None else f" ({low:+.1f} to {high:+.1f})"
    return f"{mean:+.1f}{interval}"
