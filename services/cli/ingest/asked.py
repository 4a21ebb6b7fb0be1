"""The options of `submit` and `index` as one value."""

import codecs

import typer
from pydantic import TypeAdapter, ValidationError

from services.contracts.base import RecipeId
from services.contracts.topics import Lane
from services.importers.columns import columns as named
from services.importers.formats import Asked
from services.importers.names import PLAIN, Format

NAMES_OF_DELIMITERS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}


def asked(
    format: Format,
    columns: str | None,
    *,
    source: str | None,
    delimiter: str | None,
    encoding: str | None,
    recipe: str | None = None,
    lane: Lane = "live",
) -> Asked:
    """The options as one value. Raises typer.BadParameter."""
    if columns is not None and format not in ("auto", *PLAIN):
        raise typer.BadParameter(f"--columns goes with {', '.join(PLAIN)}, not with {format}")
    try:
        TypeAdapter[str | None](RecipeId | None).validate_python(recipe)
        names = named(columns) if columns is not None else {}
    except ValidationError:
        raise typer.BadParameter("a recipe's id is recipe- and 32 hex digits: see `reasonmed recipes list`") from None
    except ValueError as error:
        raise typer.BadParameter(f"--columns: {error}") from None
    return Asked(format, names, recipe, _source(source), _delimiter(delimiter), _encoding(encoding), lane=lane)


def _source(name: str | None) -> str | None:
    if name is not None and not 0 < len(name.strip()) <= 200:
        raise typer.BadParameter("--source is a name of at most 200 characters")
    return name and name.strip()


def _delimiter(text: str | None) -> str | None:
    made = NAMES_OF_DELIMITERS.get(text, text) if text else None
    if made is not None and (len(made) != 1 or made in '"\r\n'):
        raise typer.BadParameter(f"--delimiter is one character, or tab: {text!r}")
    return made


def _encoding(name: str | None) -> str | None:
    if name is None:
        return None
    try:
        info = codecs.lookup(name)
        text = info.decode(b"")[0]
    except (LookupError, ValueError) as error:
        raise typer.BadParameter(f"--encoding: {error}") from None
    if not isinstance(text, str) or info.incrementaldecoder is None:
        raise typer.BadParameter(f"--encoding: {name} is no encoding of text")
    return info.name
