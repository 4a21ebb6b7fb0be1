"""The committed files equal the generated ones, without orphans, and files of a version are stable."""

import json
import re
import shutil
from pathlib import Path

import pytest

from services.contracts import topics as topics_module
from services.contracts.base import VERSION, Value
from services.contracts.schemas import MESSAGES
from services.contracts.topics import Topic, lane_of, topics
from services.protogen import generate
from services.protogen.diagram import flowchart

ROOT = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the committed files, for changes."""
    shutil.copytree(ROOT / "proto", tmp_path / "proto")
    shutil.copy(ROOT / "README.md", tmp_path)
    return tmp_path


def files(root: Path) -> dict[Path, str]:
    return {path: path.read_text() for path in root.rglob("*") if path.is_file()}


def test_the_committed_files_are_the_generated_ones() -> None:
    assert generate.outdated(ROOT) == {}


def test_check_lists_differences_and_changes_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "README.md").write_text("# Another\n")
    (root / f"proto/examples/{VERSION}/score.json").unlink()
    before = files(root)
    assert generate.main(["--check"], root) == 1
    assert files(root) == before
    assert set(capsys.readouterr().out.splitlines()) == {
        "differs: README.md",
        f"differs: proto/examples/{VERSION}/score.json",
    }


def test_writing_fixes_the_differences(root: Path) -> None:
    (root / f"proto/schemas/{VERSION}/case.json").unlink()
    assert generate.main([], root) == 0
    assert generate.main(["--check"], root) == 0


def test_prose_in_a_schema_may_change_within_a_version(root: Path) -> None:
    path = root / f"proto/schemas/{VERSION}/score.json"
    committed = path.read_text()
    path.write_text(committed.replace("How good", "How very good"))
    assert generate.main([], root) == 0
    assert path.read_text() == committed


@pytest.mark.parametrize(
    ("file", "now", "promised"),
    [("schemas", '"maximum": 5', '"maximum": 10'), ("examples", '"value": 5', '"value": 4')],
)
def test_a_stable_file_of_this_version_is_never_rewritten(
    root: Path, file: str, now: str, promised: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = root / f"proto/{file}/{VERSION}/score.json"
    path.write_text(path.read_text().replace(now, promised))
    before = files(root)
    assert generate.main([], root) == 2
    assert generate.main(["--check"], root) == 1
    assert files(root) == before
    assert "increase the minor" in capsys.readouterr().err


@pytest.mark.parametrize("folder", ["schemas", "examples"])
def test_every_message_has_a_file_in_this_version_and_no_file_is_an_orphan(folder: str) -> None:
    names = {path.stem for path in (ROOT / "proto" / folder / VERSION).iterdir()}
    assert names == set(MESSAGES)


def test_versions_have_both_schemas_and_examples() -> None:
    versions = [{path.name for path in (ROOT / "proto" / folder).iterdir()} for folder in ("schemas", "examples")]
    assert versions[0] == versions[1]
    assert all(re.fullmatch(r"\d+\.\d+", version) for version in versions[0])


def test_every_topic_holds_a_message_that_has_a_schema() -> None:
    assert {topic.message for topic in topics().values()} <= set(MESSAGES)


def test_topic_constants_and_topics_are_the_same() -> None:
    constants = {
        value
        for name, value in vars(topics_module).items()
        if name.isupper() and isinstance(value, str) and name not in ("CURRENT", "LANE_HEADER", "_BACKFILL")
    }
    live = {name: topic for name, topic in topics().items() if lane_of(name) == "live"}
    assert constants == {name for name, topic in live.items() if topic.message != "dead_letter"}


def test_every_consumer_has_a_topic_of_dead_letters() -> None:
    """A service that reads a topic as a queue may be unable to process a message."""
    outside = {"taps", "command-line"}
    readers = {reader for topic in topics().values() for reader in topic.read_by} - outside
    assert {f"{reader}-dead" for reader in readers} <= set(topics())


def test_the_diagram_shows_every_topic_between_its_services() -> None:
    drawn = flowchart(
        [
            Topic(name="a-b", description="", message="case", written_by=("x",), read_by=("y-z",), group="g",
                  partitions=1, retention_days=30),
            Topic(name="x-dead", description="", message="dead_letter", written_by=("x",), read_by=("y-z",),
                  partitions=1, retention_days=30),
        ]
    )  # fmt: skip
    assert drawn.splitlines() == [
        "flowchart LR",
        "    x[x]",
        "    y_z[y-z]",
        "    a_b([a-b])",
        "    SERVICE_dead([SERVICE-dead])",
        "    x --> a_b",
        "    a_b -->|g| y_z",
        "    x -.-> SERVICE_dead",
        "    SERVICE_dead -.-> y_z",
    ]


def test_the_diagram_replaces_only_its_own_block() -> None:
    drawn = generate.with_diagram(f"# Title\n\n{generate.BEGIN}\nold\n{generate.END}\n\nMore.\n")
    assert drawn.startswith(f"# Title\n\n{generate.BEGIN}\n```mermaid\nflowchart LR\n")
    assert drawn.endswith(f"```\n{generate.END}\n\nMore.\n")
    assert "old" not in drawn
    assert generate.with_diagram(drawn) == drawn


def subtypes(kind: type[Value]) -> list[type[Value]]:
    return [kind, *(found for sub in kind.__subclasses__() for found in subtypes(sub))]


def test_every_field_has_a_description() -> None:
    bare = [
        f"{kind.__name__}.{name}"
        for kind in subtypes(Value)
        if kind.__module__.startswith("services.contracts.")
        for name, field in kind.model_json_schema()["properties"].items()
        if not field.get("description")
    ]
    assert bare == []


@pytest.mark.parametrize("name", MESSAGES)
def test_schemas_name_their_version_and_let_unknown_fields_pass(name: str) -> None:
    schema = json.loads((ROOT / f"proto/schemas/{VERSION}/{name}.json").read_text())
    assert schema["x-version"] == VERSION
    objects = [schema, *schema.get("$defs", {}).values()]
    assert all(part["additionalProperties"] is True for part in objects)
