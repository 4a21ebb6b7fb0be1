"""An export holds each record once, in one order, whole or not at all."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.contracts.case import Spared
from services.datasets.dataset import Dataset
from services.datasets.export import ExportFailed, export
from services.datasets.records import Filters, NothingToExport
from services.datasets.shards import ROWS
from services.datasets.splits import Splits
from tests.unit.datasets.world import contents, records, request, rows_of, varied, write_parts

ALL = Splits.parse("train=1", "0")


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    made = records(200)
    return write_parts(tmp_path / "parts", [made[:120], made[120:]])


def ids_of(out: Path, split: str = "train") -> list[str]:
    return [row["record_id"] for row in rows_of(out, split)]


class TestRecords:
    def test_each_is_there_once_in_the_order_of_ids_and_in_one_split(self, parts: Path, tmp_path: Path) -> None:
        export(request(), parts, tmp_path / "out")
        train, test = ids_of(tmp_path / "out"), ids_of(tmp_path / "out", "test")
        assert (train, test) == (sorted(train), sorted(test))
        assert sorted(train + test) == sorted(one.record_id for one in records(200))

    def test_files_outside_the_log_are_not_read(self, parts: Path, tmp_path: Path) -> None:
        named = Path(Dataset.open(parts).files[0])
        (parts / "part-00000-stray.parquet").write_bytes(named.read_bytes())
        assert export(request(), parts, tmp_path / "out").records == 200

    def test_one_that_two_partitions_hold_is_there_once(self, tmp_path: Path) -> None:
        made = records(30)
        write_parts(tmp_path / "parts", [made, [*made[:5], varied(30)]])
        summary = export(request(splits=ALL), tmp_path / "parts", tmp_path / "out")
        assert sorted(ids_of(tmp_path / "out")) == sorted(one.record_id for one in records(31))
        assert summary.records == summary.splits["train"].questions == 31


class TestBytes:
    def test_neither_threads_nor_partitions_change_them(self, parts: Path, tmp_path: Path) -> None:
        """More rows than a row group, so that groups are cut across buckets."""
        made = records(2 * ROWS + 100)
        write_parts(tmp_path / "one", [made], rows=700)
        write_parts(tmp_path / "many", [made[at::3] for at in range(3)], rows=90)
        export(request(), tmp_path / "one", tmp_path / "a", threads=1)
        export(request(), tmp_path / "many", tmp_path / "b", threads=4)
        one, many = contents(tmp_path / "a"), contents(tmp_path / "b")
        watermarks = [json.loads(held.pop("export.json"))["watermark"] for held in (one, many)]
        assert one == many
        assert watermarks == [{"0": 2 * ROWS + 100}, {"0": 700, "1": 700, "2": 700}]

    def test_shards_are_bounded(self, tmp_path: Path) -> None:
        write_parts(tmp_path / "parts", [records(3 * ROWS)], rows=5_000)
        bound = 1_800_000
        summary = export(request(splits=ALL), tmp_path / "parts", tmp_path / "out", shard_bytes=bound)
        sizes = [path.stat().st_size for path in (tmp_path / "out" / "jsonl" / "train").iterdir()]
        assert (
            len(sizes)
            == summary.splits["train"].shards
            == len(list((tmp_path / "out" / "data" / "train").iterdir()))
            > 1
        )
        assert max(sizes) <= bound
        assert ids_of(tmp_path / "out") == sorted(one.record_id for one in records(3 * ROWS))


class TestFilters:
    @pytest.mark.parametrize(
        ("filters", "passes"),
        [
            ({"difficulties": ("easy", "difficult")}, lambda row: row["difficulty"] in ("easy", "difficult")),
            ({"sources": ("medqa",)}, lambda row: row["source"] == "medqa"),
            ({"min_score": 4}, lambda row: row["score"] is not None and row["score"] >= 4),
            ({"min_score": 0}, lambda row: row["score"] is not None),
            ({"disputed": True}, lambda row: row["gold_disputed"]),
            ({"disputed": False}, lambda row: not row["gold_disputed"]),
            ({"recipes": ("recipe-" + "1" * 32,)}, lambda row: True),
            (
                {"disputed": False, "sources": ("medqa", "medmcqa")},
                lambda row: not row["gold_disputed"] and row["source"],
            ),
        ],
    )
    def test_exactly_what_passes_is_kept(self, parts: Path, tmp_path: Path, filters: Any, passes: Any) -> None:
        export(request(splits=ALL), parts, tmp_path / "all")
        summary = export(request(splits=ALL, filters=Filters(**filters)), parts, tmp_path / "some")
        kept = rows_of(tmp_path / "some", "train")
        assert kept == [row for row in rows_of(tmp_path / "all", "train") if passes(row)]
        assert 0 < len(kept) == summary.records

    def test_a_filter_that_names_what_is_not_there_says_what_is(self, parts: Path, tmp_path: Path) -> None:
        with pytest.raises(NothingToExport, match="source medpqa; there are: medmcqa, medqa"):
            export(request(filters=Filters(sources=("medpqa",))), parts, tmp_path / "out")
        with pytest.raises(NothingToExport, match="recipe-1111"):
            export(request(filters=Filters(recipes=("recipe-2",))), parts, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_filters_without_a_match_are_reported(self, parts: Path, tmp_path: Path) -> None:
        nothing = Filters(recipes=(), min_score=5, sources=("medqa",), disputed=True)
        write_parts(tmp_path / "few", [[varied(0)]])
        with pytest.raises(NothingToExport, match="no record passes"):
            export(request(filters=nothing), tmp_path / "few", tmp_path / "out")


class TestCard:
    def test_counts_are_those_of_the_rows(self, parts: Path, tmp_path: Path) -> None:
        summary = export(request(licences={"medqa": "MIT"}), parts, tmp_path / "out")
        rows = {name: rows_of(tmp_path / "out", name) for name in ("train", "test")}
        for name, split in summary.splits.items():
            assert split.records == len(rows[name])
            assert split.questions == len({row["case_id"] for row in rows[name]})
            assert split.difficulties == count(rows[name], "difficulty")
        both = rows["train"] + rows["test"]
        assert summary.sources == {key or "": number for key, number in count(both, "source").items()}
        assert summary.disputed == sum(row["gold_disputed"] for row in both) == 20
        assert summary.cost_usd == {s: 200 * {"generate": 0.25, "summarize": 0.5}.get(s, 0) for s in summary.cost_usd}
        assert summary.spared == {}
        assert json.loads((tmp_path / "out" / "export.json").read_text()) == json.loads(json.dumps(asdict(summary)))

    def test_it_says_what_the_cases_did_not_need(self, tmp_path: Path) -> None:
        spared = (
            Spared(by="judging", stage="score", calls=2, usd=0.5),
            Spared(by="sampling", stage="generate", calls=4, usd=1.25),
        )
        some = [varied(0).with_(spared=spared), varied(1), varied(2).with_(spared=spared[:1])]
        write_parts(tmp_path / "parts", [some])
        summary = export(request(splits=ALL), tmp_path / "parts", tmp_path / "out")
        assert summary.spared == {"judging": {"calls": 4, "usd": 1.0}, "sampling": {"calls": 4, "usd": 1.25}}
        assert "| by judging | 4 | 1.000000 |" in (tmp_path / "out" / "README.md").read_text()

    def test_it_says_what_a_publisher_must_know(self, parts: Path, tmp_path: Path) -> None:
        asked = request(
            licences={"medqa": "MIT"}, recipe_names={"recipe-" + "1" * 32: "mine"}, filters=Filters(min_score=2)
        )
        export(asked, parts, tmp_path / "out")
        card = (tmp_path / "out" / "README.md").read_text()
        assert "| medqa | " in card
        assert " | MIT |" in card
        assert "| medmcqa | " in card
        assert " | not stated |" in card
        assert f"| `recipe-{'1' * 32}` | mine | " in card
        assert "score at least 2" in card
        assert "| summarize | " in card

    def test_a_licence_of_no_source_is_refused(self, parts: Path, tmp_path: Path) -> None:
        with pytest.raises(NothingToExport, match="source medpqa"):
            export(request(licences={"medpqa": "MIT"}), parts, tmp_path / "out")

    def test_a_split_without_records_has_no_files_and_is_in_no_configuration(self, tmp_path: Path) -> None:
        write_parts(tmp_path / "parts", [[varied(1)]])
        summary = export(request(), tmp_path / "parts", tmp_path / "out")
        empty = next(name for name, split in summary.splits.items() if not split.records)
        assert not list((tmp_path / "out").rglob(empty))
        front = yaml.safe_load((tmp_path / "out" / "README.md").read_text().split("---\n")[1])
        assert empty not in str(front)


class TestFolders:
    def test_an_earlier_export_is_replaced_whole(self, parts: Path, tmp_path: Path) -> None:
        export(request(form="alpaca", splits=ALL), parts, tmp_path / "out")
        export(request(), parts, tmp_path / "fresh")
        export(request(), parts, tmp_path / "out")
        assert contents(tmp_path / "out") == contents(tmp_path / "fresh")
        assert {path.name for path in tmp_path.iterdir()} == {"parts", "out", "fresh"}

    def test_foreign_folders_are_not_replaced(self, parts: Path, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "thesis.tex").write_text("years of work")
        with pytest.raises(ExportFailed, match="not empty"):
            export(request(), parts, tmp_path / "out")
        with pytest.raises(ExportFailed, match="not empty"):
            export(request(), parts, tmp_path / "out" / "thesis.tex")
        assert contents(tmp_path / "out") == {"thesis.tex": b"years of work"}

    def test_an_empty_folder_is_taken(self, parts: Path, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        assert export(request(), parts, tmp_path / "out").records == 200

    def test_a_failure_leaves_everything_as_it_was(self, parts: Path, tmp_path: Path) -> None:
        export(request(), parts, tmp_path / "out")
        before = contents(tmp_path / "out")
        part = Path(Dataset.open(parts).files[0])
        part.write_bytes(b"?" * part.stat().st_size)
        with pytest.raises(ExportFailed, match="can't read"):
            export(request(), parts, tmp_path / "out")
        assert contents(tmp_path / "out") == before
        assert {path.name for path in tmp_path.iterdir()} == {"parts", "out"}

    def test_a_folder_without_parts_is_reported(self, tmp_path: Path) -> None:
        with pytest.raises(NothingToExport, match="holds no records"):
            export(request(), tmp_path / "nowhere", tmp_path / "out")


def test_progress_never_goes_back_and_ends_at_its_total(parts: Path, tmp_path: Path) -> None:
    reported: list[tuple[int, int]] = []
    export(request(), parts, tmp_path / "out", on_progress=lambda done, total: reported.append((done, total)))
    assert reported == sorted(reported)
    assert reported[-1] == (400, 400)


def count(rows: list[dict[str, Any]], column: str) -> dict[Any, int]:
    values = [row[column] for row in rows]
    return {value: values.count(value) for value in set(values)}
