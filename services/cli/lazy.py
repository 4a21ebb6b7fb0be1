"""Commands that are imported when they run: `reasonmed --help` needs a name and a sentence of each, and no more."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

HELP_OPTIONS = ["-h", "--help"]


@dataclass(frozen=True)
class Entry:
    """A command of the table."""

    name: str
    target: str
    """MODULE:ATTRIBUTE, a function or a Typer app of subcommands."""
    panel: str
    """The heading in `reasonmed --help`."""
    summary: str
    """The line in `reasonmed --help`."""


class LazyCommand(TyperCommand):
    """Stands for a command until it runs, completes or shows its help."""

    def __init__(self, entry: Entry) -> None:
        super().__init__(entry.name, short_help=entry.summary, rich_help_panel=entry.panel)
        self._entry = entry

    def load(self) -> TyperCommand | TyperGroup:
        """The command itself. Imports its module."""
        module, _, attribute = self._entry.target.partition(":")
        found = getattr(import_module(module), attribute)
        command: Any = get_group(found) if isinstance(found, typer.Typer) else get_command(_app_of(found))
        command.name = self.name
        for each in (command, *getattr(command, "commands", {}).values()):
            without_flag_types(each.get_params(typer.Context(each, help_option_names=HELP_OPTIONS)))
        return command  # type: ignore[no-any-return]

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The context of the command itself: the group invokes the context's command."""
        return self.load().make_context(info_name, args, parent, **extra)


class LazyGroup(TyperGroup):
    """A group of the commands in `entries`. Imports none of them to list them."""

    entries: Sequence[Entry] = ()

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = {entry.name: LazyCommand(entry) for entry in self.entries}

    def get_params(self, ctx: Any) -> Any:
        """The options before the command."""
        return without_flag_types(super().get_params(ctx))

    def load(self) -> Iterator[tuple[tuple[str, ...], Any]]:
        """Every command and subcommand by its words, all imported: for the documentation."""
        for name, command in self.commands.items():
            loaded: Any = command.load() if isinstance(command, LazyCommand) else command
            yield (name,), loaded
            for word, inner in getattr(loaded, "commands", {}).items():
                yield (name, word), inner


def without_flag_types(params: Sequence[Any]) -> Sequence[Any]:
    """The same parameters, shown as `--json`, not as `--json <bool>`."""
    for param in params:
        if getattr(param, "is_flag", False):
            param.metavar = ""
    return params


def _app_of(function: Any) -> typer.Typer:
    app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
    app.command()(function)
    return app
