"""MkDocs hooks: pages generated from the code, and links out of docs/. Generated pages are not committed.

reference/topics.md     proto/topics.yaml and the messages' JSON schemas
reference/settings.md   the services' settings classes
reference/recipe.md     the recipe's fields, and the placeholders of each prompt
reference/tables.md     the columns of the dataset and of `reasonmed sql`
reference/commands.md   the help of every command of `reasonmed`
design.md               ARCHITECTURE.md
adr/README.md           gets a list of the decisions
"""

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pyarrow as pa  # type: ignore[import-untyped]
import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from pydantic import BaseModel

from services.cli.__main__ import app
from services.contracts.recipe import Generation, Model, Recipe, Routing, Sampling, Slot, Task
from services.contracts.schemas import MESSAGES, json_schema
from services.contracts.topics import Topic, topics
from services.exporter.path_schema import PATH_SCHEMA
from services.exporter.schema import SCHEMA
from services.exporter.settings import ExporterSettings
from services.gateway.settings import GatewaySettings
from services.recipes.check import PLACEHOLDERS
from services.router.settings import RouterSettings
from services.runtime.process.settings import Settings
from services.runtime.process.settings_help import Setting, settings_of
from services.taps.tables import COST, TABLES

ROOT = Path(__file__).resolve().parents[1]
STREAM = "<!-- stream -->"
"""Placeholder for the table of topics."""
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the pages of the runbook and the decisions by folder, so that a new page needs no line in mkdocs.yml."""
    pages = sorted(path.name for path in (ROOT / "docs/runbook").glob("*.md") if path.name != "README.md")
    _listed(config.nav or [], "runbook/*.md", [f"runbook/{name}" for name in pages])
    decisions = sorted(path.name for path in (ROOT / "docs/adr").glob("0*.md"))
    _listed(config.nav or [], "adr/*.md", [f"adr/{name}" for name in decisions])
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    made = {
        "reference/topics.md": topics_page(),
        "reference/settings.md": settings_page(),
        "reference/recipe.md": recipe_page(),
        "reference/tables.md": tables_page(),
        "reference/commands.md": commands_page(),
        "design.md": (ROOT / "ARCHITECTURE.md").read_text().replace("# Architecture", "# Design", 1),
    }
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Insert generated parts; a link to a file outside the site becomes that file's path in the repository."""
    uri = page.file.src_uri
    if uri == "adr/README.md":
        markdown += "\n" + "\n".join(f"- [{_title(path)}]({path.name})" for path in _decisions()) + "\n"
    if uri.startswith("runbook/"):  # MkDocs needs eight spaces for code in a list, other renderers six
        markdown = re.sub(r"^ {6}(?=\S)", " " * 8, markdown, flags=re.MULTILINE)
    base = "" if uri == "design.md" else posixpath.join("docs", posixpath.dirname(uri))
    return LINK.sub(lambda link: _inside(link, base), markdown.replace(STREAM, stream_table(posixpath.dirname(uri))))


def topics_page() -> str:
    """Each topic, then each message field by field."""
    intro = (
        "Every topic may be read by anybody, in a consumer group of their own. Values are JSON; new fields may come "
        "with a minor version, so ignore what you don't know. Batches are compressed with zstd: a consumer's client "
        "needs zstd support. `proto/asyncapi.yaml` says the same for machines, and `proto/examples` has a message of "
        "each type."
    )
    shown = {"case": ("path", "verdict", "score", "question"), "submission": ("question",)}
    used = dict.fromkeys(topic.message for topic in topics().values())
    messages = dict.fromkeys(part for name in used for part in (name, *shown.get(name, ())))
    return "\n\n".join(
        [
            *("# Topics, field by field", intro, stream_table("reference")),
            *("## Topics", *map(_topic, topics().values())),
            *("## Messages", *(_message(name) for name in messages if name in MESSAGES)),
        ]
    )


def stream_table(folder: str) -> str:
    """Who writes and who reads each topic."""
    there = posixpath.relpath("reference/topics.md", folder or ".")
    rows = [
        f"| {', '.join(topic.written_by)} | [{topic.name}]({there}#{topic.name}) | {', '.join(topic.read_by)} |"
        for topic in topics().values()
    ]
    return "\n".join(["| written by | topic | read by |", "| --- | --- | --- |", *rows])


def settings_page() -> str:
    """Those of every service, then what gateway, router and exporter have beside them."""
    own = {"gateway": GatewaySettings, "router": RouterSettings, "exporter": ExporterSettings}
    common = settings_of(Settings)
    parts = [
        "# Settings",
        "Services read their deployment settings from the environment only; what decides a result is "
        "in the [recipe](../recipes.md). `python -m services.NAME --help` lists the same for one service. Where a "
        "setting is wrong, the process says which, never what its value was.",
        _settings_table("## Every service", common),
    ]
    for name, cls in own.items():
        parts.append(_settings_table(f"## The {name}'s own", [each for each in settings_of(cls) if each not in common]))
    return "\n\n".join(parts)


def recipe_page() -> str:
    """The fields of a recipe, and what the prompts of each stage are filled with."""
    parts = [
        "# Recipe",
        "`reasonmed recipes new NAME` writes one to change. In a file, `prompt` is the path of a Markdown file, "
        "relative to the recipe; a published recipe holds the texts. A field without a default is required.",
        *(_fields_of(kind) for kind in (Recipe, Model, Generation, Slot, Task, Sampling, Routing)),
        "## Placeholders",
        "A prompt is refused if it lacks one that its stage needs, or has one that nothing fills.",
    ]
    rows = [
        f"| {stage} | {' '.join(f'`{{{name}}}`' for name in sorted(of.needed))} "
        f"| {' '.join(f'`{{{name}}}`' for name in sorted(of.optional))} |"
        for stage, of in PLACEHOLDERS.items()
    ]
    return "\n\n".join([*parts, "\n".join(["| stage | needs | may have |", "| --- | --- | --- |", *rows])])


def _fields_of(kind: type[BaseModel]) -> str:
    schema = kind.model_json_schema()
    rows = []
    for name, its in schema["properties"].items():
        default = f"`{_cell(json.dumps(its['default']))}`" if "default" in its else ""
        rows.append(f"| `{name}` | {_cell(_type(its))} | {default} | {_cell(its.get('description', ''))} |")
    head = f"## {kind.__name__}\n\n{_escaped(schema.get('description', ''))}\n"
    return "\n".join([head, "| field | type | default | meaning |", "| --- | --- | --- | --- |", *rows])


def tables_page() -> str:
    """The columns of each table that SQL may be run over."""
    records = [(field.name, field.type, field.metadata[b"description"].decode()) for field in SCHEMA]
    paths = [(field.name, field.type, field.metadata[b"description"].decode()) for field in PATH_SCHEMA]
    tables = {"records": records, **{name: list(columns) for name, columns in TABLES.items()}, "paths": paths}
    tables["calls"].append(COST)
    parts = [
        "# Tables",
        "`records` and `paths` are the dataset. The others are built from the topics by `reasonmed sql --topics`, "
        "which adds the paths of open cases to `paths`, with nulls where a message does not say. `records.model` joins "
        "`models.served`; ids join by their names.",
    ]
    for name, columns in tables.items():
        rows = (f"| `{column}` | `{_cell(_kind(kind))}` | {_cell(text)} |" for column, kind, text in columns)
        parts.append("\n".join([f"## {name}", "", "| column | type | meaning |", "| --- | --- | --- |", *rows]))
    return "\n\n".join(parts)


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"list of {_kind(kind.value_type)}"
    return "struct" if pa.types.is_struct(kind) else str(kind)


def commands_page() -> str:
    """The help of each command, as data: names, arguments, options, defaults, examples."""
    root: Any = typer.main.get_command(app)
    head = ["# Commands", "What `--help` says, all on one page."]
    every = (_command(" ".join(("reasonmed", *words)), command) for words, command in root.load())
    return "\n\n".join([*head, *every])


def _command(name: str, command: Any) -> str:
    help_text = _fenced_examples(command.help or "")
    level = "##" if name.count(" ") == 1 else "###"
    rows = [row for param in command.params for row in _param(param)]
    table = ["| argument or option | default | meaning |", "| --- | --- | --- |", *rows] if rows else []
    return "\n\n".join([f"{level} {name}", help_text, *(["\n".join(table)] if rows else [])])


def _fenced_examples(text: str) -> str:
    return re.sub(r"^Example:\s+(.*)$", r"```sh\n\1\n```", _escaped(text), flags=re.MULTILINE)


def _escaped(text: str) -> str:
    """Stars and angle brackets as they are; backticks may stay."""
    return text.replace("<", "&lt;")


def _param(param: Any) -> Iterator[str]:
    if param.name == "help":
        return
    argument = param.param_type_name == "argument"
    name = param.metavar or param.name.upper() if argument else ", ".join([*param.opts, *param.secondary_opts])
    default = "" if param.default in (None, False, ()) else f"`{_cell(str(param.default))}`"
    annotation = param.type_descriptor.annotation
    choices = get_args(annotation) if get_origin(annotation) is Literal else ()
    meaning = " ".join([param.help or "", f"One of {', '.join(choices)}." if choices else ""]).strip()
    yield f"| `{_cell(name)}` | {default} | {_cell(_escaped(meaning))} |"


def _topic(topic: Topic) -> str:
    kept = "the latest of each key, for ever" if topic.compacted else f"{topic.retention_days} days"
    facts = {
        "holds": f"[{topic.message}](#message-{topic.message})" if topic.message in MESSAGES else topic.message,
        "key": topic.key,
        "kept": kept,
        "partitions": str(topic.partitions),
        "written by": ", ".join(topic.written_by),
        "read by": ", ".join(topic.read_by) + (f" (group {topic.group})" if topic.group else ""),
    }
    table = "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {fact} |" for name, fact in facts.items())])
    return f"### {topic.name}\n\n{topic.description}\n\n{table}"


def _message(name: str) -> str:
    schema = json_schema(name)
    rows = [
        f"| `{field}` | {_cell(_type(its))} | {'yes' if field in schema.get('required', ()) else ''} "
        f"| {_cell(its.get('description', ''))} |"
        for field, its in schema.get("properties", {}).items()
    ]
    table = "\n".join(["| field | type | always | meaning |", "| --- | --- | --- | --- |", *rows])
    return f'<a id="message-{name}"></a>\n\n### Message {name}\n\n{_escaped(schema.get("description", ""))}\n\n{table}'


def _type(schema: Mapping[str, Any]) -> str:
    """A field's type in words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if several := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        return " or ".join(_type(each) for each in several)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    return str(schema.get("type", "anything"))


def _settings_table(title: str, settings: list[Setting]) -> str:
    rows = [
        f"| `{each.name}` | {f'`{_cell(each.default)}`' if each.default else ''} | {_cell(each.meaning)} |"
        for each in settings
    ]
    return "\n".join([title, "", "| name | default | meaning |", "| --- | --- | --- |", *rows])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _inside(link: re.Match[str], base: str) -> str:
    text, target, _ = link.groups()
    path = posixpath.normpath(posixpath.join(base, target))
    if ":" in target or path.startswith("docs/"):
        return link.group(0) if base else link.group(0).replace("](docs/", "](")
    return f"`{path}`" if text in (target, path, f"`{path}`") else f"{text} (`{path}`)"


def _decisions() -> list[Path]:
    return sorted((ROOT / "docs/adr").glob("0*.md"))


def _title(path: Path) -> str:
    return path.read_text().splitlines()[0].lstrip("# ")


def _listed(nav: Any, pattern: str, pages: list[str]) -> None:
    """Replace the pattern, wherever it stands, by the pages."""
    for item in nav:
        for value in item.values() if isinstance(item, dict) else ():
            if isinstance(value, list):
                if pattern in value:
                    value[value.index(pattern) : value.index(pattern) + 1] = pages
                _listed(value, pattern, pages)
