"""Generate schemas, golden examples, asyncapi.yaml and the diagram in README.md from the types and topics.

    python -m services.protogen.generate           write missing and outdated files
    python -m services.protogen.generate --check   change nothing; list files that differ, and exit 1 if there are any

Files of a version are stable: an existing example is never rewritten, and a schema only if its constraints stay equal.
A changed type needs a new minor VERSION (services/contracts/base.py), and so new files.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from services.contracts.base import VERSION
from services.contracts.codec import encode
from services.contracts.schemas import MESSAGES, json_schema
from services.contracts.topics import Topic, lane_of, topics
from services.protogen.asyncapi import document
from services.protogen.compatibility import shape
from services.protogen.diagram import flowchart
from services.protogen.examples import examples

ROOT = Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- topics:begin -->", "<!-- topics:end -->"


class Promised(Exception):
    """A generated file would change the contract of a published version."""


def wanted(root: Path) -> dict[Path, str]:
    """The expected content of every generated file. Raises Promised if a stable file would change."""
    files = {}
    for name in MESSAGES:
        path = root / "proto" / "schemas" / VERSION / f"{name}.json"
        schema = json_schema(name)
        if path.exists() and shape(json.loads(path.read_text())) != shape(schema):
            raise Promised(_refusal(path, root))
        files[path] = _pretty(schema)
    for name, value in examples().items():
        path = root / "proto" / "examples" / VERSION / f"{name}.json"
        files[path] = _pretty(json.loads(encode(value)))
        if path.exists() and path.read_text() != files[path]:
            raise Promised(_refusal(path, root))
    files[root / "proto" / "asyncapi.yaml"] = asyncapi()
    readme = root / "README.md"
    files[readme] = with_diagram(readme.read_text() if readme.exists() else "")
    return files


def outdated(root: Path) -> dict[Path, str]:
    """The expected content of missing and outdated files. Raises Promised."""
    files = wanted(root).items()
    return {path: text for path, text in files if not path.exists() or path.read_text() != text}


def write(root: Path) -> dict[Path, str]:
    """Write missing and outdated files; returns them. Writes nothing if it raises Promised."""
    files = outdated(root)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return files


def asyncapi() -> str:
    """proto/asyncapi.yaml."""
    head = "# Generated from topics.yaml and services.contracts: do not edit.\n"
    return head + yaml.dump(document(topics().values()), Dumper=_Readable, sort_keys=False, width=110)


def with_diagram(readme: str) -> str:
    """The README with the diagram between its markers; without markers the diagram is appended."""
    block = f"{BEGIN}\n```mermaid\n{flowchart(_drawn())}\n```\n{END}"
    if BEGIN not in readme:
        return f"{readme.rstrip()}\n\n{block}\n".lstrip()
    before, rest = readme.split(BEGIN, 1)
    return f"{before}{block}{rest.split(END, 1)[1]}"


def _drawn() -> list[Topic]:
    """One topic for both lanes: the stages are the same."""
    return [topic for topic in topics().values() if lane_of(topic.name) == "live"]


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """The command. Exit status: 0 done (or nothing to do), 1 files differ, 2 a stable file would change."""
    parser = argparse.ArgumentParser(prog="python -m services.protogen.generate", description="Generate the contract.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a file differs")
    check = parser.parse_args(arguments).check
    try:
        paths = outdated(root) if check else write(root)
    except Promised as refused:
        sys.stderr.write(f"{refused}\n")
        return 1 if check else 2
    for path in paths:
        sys.stdout.write(f"{'differs' if check else 'written'}: {path.relative_to(root)}\n")
    return 1 if check and paths else 0


class _Readable(yaml.SafeDumper):
    """YAML with long texts as blocks and without anchors."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Readable.add_representer(str, _text)


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _refusal(path: Path, root: Path) -> str:
    return (
        f"{path.relative_to(root)} would change, but it is part of version {VERSION}: increase the minor of VERSION in "
        "services/contracts/base.py, so that the change gets new files "
        "(or delete the file if it is not published yet)"
    )


if __name__ == "__main__":
    sys.exit(main())
