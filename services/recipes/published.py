"""Which published recipe is meant: said where a submission names one that does not exist."""

from collections.abc import Mapping
from difflib import get_close_matches

_LISTED = 5


def why_unknown(recipe_id: str, published: Mapping[str, str]) -> str | None:
    """Why no case can be made under this recipe; None if it is published. `published`: names by id. Does not repeat
    the id, which may be anybody's text."""
    if recipe_id in published:
        return None
    if not published:
        return "no recipe is published: run `reasonmed recipes publish`"
    close = get_close_matches(recipe_id, published, n=1, cutoff=0.8)
    meant = f"; did you mean {close[0]} ({published[close[0]]})?" if close else ""
    listed = ", ".join(f"{each} ({name})" for each, name in list(published.items())[-_LISTED:])
    more = "" if len(published) <= _LISTED else f", and {len(published) - _LISTED} older"
    return f"this recipe is not published{meant or f'; published are {listed}{more}'}"
