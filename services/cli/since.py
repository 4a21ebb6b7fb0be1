"""A point in time on the command line."""

import re
from datetime import UTC, datetime, timedelta

import typer

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def moment(since: str | None) -> datetime | None:
    """Parse 15m (that long ago; s, m, h, d), or a date or time (UTC unless it has an offset). Raises BadParameter."""
    if since is None:
        return None
    if ago := re.fullmatch(r"(\d{1,5})([smhd])", since):
        return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        given = datetime.fromisoformat(since)
    except ValueError:
        raise typer.BadParameter("15m, 2h, 7d, or as in 2026-05-17T09:30+02:00", param_hint="--since") from None
    return given if given.tzinfo else given.replace(tzinfo=UTC)
