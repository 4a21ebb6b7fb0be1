"""Files are read as what they are, row by row; what can't be read is one row's matter, not the file's."""

import gzip
import json
import tracemalloc
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from services.core.case.sizes import QUESTION_BYTES
from services.core.messages import OutgoingRecord
from services.importers.formats import LOOK, Asked, chosen, of_stream
from services.importers.names import Format
from services.importers.readers import reading
from services.importers.readers.data import Packing
from services.importers.readers.documents import Document
from services.importers.readers.shape import Container, Shape
from services.importers.rows import Refused, Rejected, Row, Unfit, message
from tests.unit.importers import sources
from tests.unit.importers.sources import OPTIONS, ROW, STEM, TEXTS, lines, table, written


def took(
    file: Path, name: Format = "auto", names: dict[str, str] | None = None
) -> tuple[str, list[OutgoingRecord | Rejected]]:
    """The format's name, and what its rows come to."""
    how = chosen(file, Asked(name, names or {}))
    with reading(file, how.shape) as read:
        return how.name, [message(row, how.parse) for row in read.rows]


def rows(file: Path, container: Container, packing: Packing | None = None) -> list[Row]:
    with reading(file, Shape(container, packing, document=Document("rows", ("*",)))) as read:
        return list(read.rows)


def as_parquet(path: Path, values: list[dict[str, Any]], **options: Any) -> Path:
    parquet.write_table(pa.Table.from_pylist(values), path, **options)
    return path


HEADER = ["question", *"ABCD", "answer"]
CELLS = [STEM, *TEXTS, "C"]
MEDMCQA = [sources.medmcqa(cop, cop) for cop in (1, 4)]

FILES: dict[str, tuple[str, bytes | str]] = {
    "questions.jsonl": ("questions", lines([ROW])),
    "questions.json": ("questions", lines([ROW, ROW])),
    "bom.jsonl": ("questions", b"\xef\xbb\xbf" + lines([ROW])),
    "lettered.jsonl": ("jsonl", lines([{"question": STEM, **OPTIONS, "answer": "C"}])),
    "listed.jsonl": ("jsonl", lines([{"question": STEM, "options": TEXTS, "answer": "C"}])),
    "US_train.jsonl": ("medqa", lines([sources.medqa()])),
    "train.json": ("medmcqa", lines(MEDMCQA)),
    "medmcqa.csv": ("medmcqa", table([list(MEDMCQA[0]), *[[str(v or "") for v in row.values()] for row in MEDMCQA]])),
    "anatomy_test.csv": ("mmlu", table([CELLS, CELLS])),
    "plain.csv": ("csv", table([HEADER, CELLS])),
    "bom.csv": ("csv", b"\xef\xbb\xbf" + table([HEADER, CELLS])),
    "ori_pqal.json": ("pubmedqa", json.dumps({"1": sources.pubmedqa(), "2": sources.pubmedqa("no")}, indent=4)),
    "one_line.json": ("pubmedqa", json.dumps({"1": sources.pubmedqa()})),
}  # fmt: skip


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("name", FILES)
def test_each_source_is_recognised_and_all_its_rows_are_submitted(name: str, packed: bool, tmp_path: Path) -> None:
    expected, data = FILES[name]
    data = data.encode() if isinstance(data, str) else data
    file = written(tmp_path / (name + ".gz" * packed), gzip.compress(data) if packed else data)
    format, made = took(file)
    assert format == expected
    assert made
    assert not [row for row in made if isinstance(row, Rejected)]


@pytest.mark.parametrize(
    ("values", "expected"),
    [([sources.medqa(options={**OPTIONS, "E": None})], "medqa"), ([sources.medmcqa(0), sources.medmcqa(3)], "medmcqa"),
     ([ROW], "parquet"), ([{"question": STEM, "options": TEXTS, "answer": "C"}], "parquet")],
)  # fmt: skip
def test_parquet_is_recognised_by_its_columns(values: list[dict[str, Any]], expected: str, tmp_path: Path) -> None:
    for name in ("q.parquet", "without_suffix"):
        format, made = took(as_parquet(tmp_path / name, values))
        assert format == expected
        assert not [row for row in made if isinstance(row, Rejected)]


def test_every_format_says_the_same_of_the_same_question(tmp_path: Path) -> None:
    plain = {"question": STEM, "options": OPTIONS, "answer": "C"}
    files = [
        written(tmp_path / "a.jsonl", lines([plain])),
        written(tmp_path / "b.csv", table([HEADER, CELLS])),
        written(tmp_path / "c_test.csv", table([CELLS])),
        written(tmp_path / "d.jsonl", lines([sources.medqa()])),
        as_parquet(tmp_path / "e.parquet", [plain]),
    ]
    keys = {row.key for file in files for row in took(file)[1] if isinstance(row, OutgoingRecord)}
    assert len(keys) == 1


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("name", "data", "why"),
        [
            ("q.txt", b"once upon a time", "not recognised as JSON lines, CSV, Parquet"),
            ("q.parquet", b"no parquet", "not recognised as JSON lines"),
            ("q.parquet", b"PAR1no parquet", "is not Parquet"),
            ("q.json", b"[1, 2]", "has no objects"),
            ("q.json.gz", b"not packed", "cannot be decompressed"),
            ("q.jsonl", lines([{"stem": "?", "label": "A"}]), r"not recognised \(stem, label\)"),
            ("q.csv", table([["stem", "label"], ["?", "A"]]), r"not recognised \(stem, label\)"),
            ("q.csv", table([["question", "question"], ["?", "A"]]), "name of each column, once"),
            ("q.jsonl", lines([sources.medmcqa(2)]), "may count from 0 or 1"),
            ("q.jsonl", lines([sources.medmcqa(0), sources.medmcqa(4)]), "two forms"),
        ],
    )
    def test_an_ambiguous_file_is_refused(self, name: str, data: bytes, why: str, tmp_path: Path) -> None:
        with pytest.raises(Refused, match=why):
            took(written(tmp_path / name, data))

    def test_an_explicit_format_is_used(self, tmp_path: Path) -> None:
        file = written(tmp_path / "q.jsonl", lines([sources.medmcqa(2)]))
        (one,), (other,) = took(file, "medmcqa-from-0")[1], took(file, "medmcqa-from-1")[1]
        assert isinstance(one, OutgoingRecord)
        assert isinstance(other, OutgoingRecord)
        assert b'"answer":"C"' in one.value
        assert b'"answer":"B"' in other.value

    def test_a_stream_of_medmcqa_with_an_unknown_base(self) -> None:
        head = [Row(1, json.dumps(row).encode()) for row in MEDMCQA]
        with pytest.raises(Refused, match="medmcqa-from-1"):
            of_stream("mine", Asked(), Shape("jsonl"), head)
        assert of_stream("mine", Asked("medmcqa-from-1"), Shape("jsonl"), head).name == "medmcqa"


def test_named_columns_in_each_table(tmp_path: Path) -> None:
    names = {"question": "stem", "A": "first", "B": "second", "answer": "label"}
    row = {"stem": STEM, "first": "x", "second": "y", "label": "B", "explanation": "since y"}
    files: list[tuple[Path, Format]] = [
        (written(tmp_path / "q.csv", table([list(row), list(row.values())])), "csv"),
        (written(tmp_path / "q.jsonl", lines([row])), "jsonl"),
        (as_parquet(tmp_path / "q.parquet", [row]), "parquet"),
    ]
    for file, format in files:
        for name in ("auto", format):
            found, (made,) = took(file, name, names)
            assert found == format
            assert isinstance(made, OutgoingRecord)
            assert b"since y" not in made.value
    with pytest.raises(Refused, match="no column third; the columns are stem, first"):
        took(tmp_path / "q.csv", "csv", {**names, "C": "third"})


class TestBrokenRows:
    def test_json_lines(self, tmp_path: Path) -> None:
        long = b'{"question": "' + b"x" * (2 * QUESTION_BYTES) + b'"}\n'
        good = lines([ROW])
        file = written(tmp_path / "q.jsonl", b"not json\n\n" + good + long + good + b"\xff\n" + good.strip())
        made = took(file)[1]
        assert [(row.line, row.field) for row in made if isinstance(row, Rejected)] == [
            (1, "row"),
            (4, "row"),
            (6, "row"),
        ]
        assert len(made) == 6

    @pytest.mark.parametrize("over", [-1, 0, 1])
    def test_the_longest_line_that_is_read(self, over: int, tmp_path: Path) -> None:
        empty = json.dumps({**ROW, "extra": ""})
        row = {**ROW, "extra": "x" * (QUESTION_BYTES - len(empty) + over)}
        (made, after) = took(written(tmp_path / "q.jsonl", lines([row, ROW])))[1]
        assert isinstance(made, Rejected) == (over > 0)
        assert isinstance(after, OutgoingRecord)

    def test_csv(self, tmp_path: Path) -> None:
        good = table([CELLS])
        data = [
            table([HEADER]),
            good,
            b"one,two\n",
            b'"a"b,c,d,e,f,A\n',
            good,
            b"\xff" + good,
            b'"two\nlines"' + good[35:],
        ]
        file = written(tmp_path / "q.csv", b"".join(data) + b"x" * 2 * QUESTION_BYTES + b"\n" + good + b'"open,')
        made = took(file)[1]
        bad = [(row.line, row.field) for row in made if isinstance(row, Rejected)]
        assert bad == [(3, "row"), (4, "row"), (6, "question"), (9, "row"), (11, "row")]
        assert len(made) == 9

    def test_a_cell_may_have_lines_and_commas(self, tmp_path: Path) -> None:
        stem = 'First, "this";\nthen that?'
        (made,) = took(written(tmp_path / "q.csv", table([HEADER, [stem, *TEXTS, "C"]])))[1]
        assert isinstance(made, OutgoingRecord)
        assert json.loads(made.value)["question"]["question"] == stem

    def test_parquet_that_is_no_utf8(self, tmp_path: Path) -> None:
        texts = pa.array([b"one", b"\xff", b"three"]).view(pa.string())
        parquet.write_table(
            pa.table({"question": texts, "answer": ["A"] * 3, "A": ["x"] * 3, "B": ["y"] * 3}), tmp_path / "q.parquet"
        )
        made = took(tmp_path / "q.parquet")[1]
        assert [row.line for row in made if isinstance(row, Rejected)] == [2]
        assert len(made) == 3

    @pytest.mark.parametrize("name", ["ori_pqal.json", "questions.jsonl.gz", "q.parquet"])
    def test_a_file_that_breaks_off_says_so_in_its_last_row(self, name: str, tmp_path: Path) -> None:
        file = tmp_path / name
        if name.endswith(".parquet"):
            values = [{**ROW, "pad": f"{n} {hash(n * 7919)}" * 20} for n in range(2_000)]
            as_parquet(file, values, row_group_size=500, use_dictionary=False)
            data = bytearray(file.read_bytes())
            data[len(data) // 2 : len(data) // 2 + 2_000] = b"\xff" * 2_000
            file.write_bytes(data)
            got = rows(file, "parquet")
        elif name.endswith(".gz"):
            file.write_bytes(gzip.compress(lines([ROW | {"id": str(hash(n * 7919))} for n in range(2_000)]))[:-2_000])
            got = rows(file, "jsonl", "gz")
        else:
            file.write_bytes(json.dumps({str(n): sources.pubmedqa() for n in range(200)}).encode()[:-200])
            got = rows(file, "json")
        *before, last = got
        assert before
        assert not [row for row in before if isinstance(row.value, Unfit)]
        assert isinstance(last.value, Unfit)
        assert last.value.field == "file"
        assert last.line == len(got)

    def test_a_file_may_begin_with_broken_rows(self, tmp_path: Path) -> None:
        broken = b"?\n" * 2 * LOOK
        assert took(written(tmp_path / "q.jsonl", broken + lines([sources.medqa()])))[0] == "medqa"
        made = took(written(tmp_path / "all.jsonl", broken))[1]
        assert len([row for row in made if isinstance(row, Rejected)]) == 2 * LOOK

    @pytest.mark.parametrize("name", ["q.jsonl", "q.csv", "q.json"])
    def test_an_empty_file_has_no_rows(self, name: str, tmp_path: Path) -> None:
        assert took(written(tmp_path / name, b""))[1] == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary(max_size=300), container=st.sampled_from(["jsonl", "csv", "cells", "json"]))
def test_no_bytes_are_too_strange_to_be_read(data: bytes, container: Container, tmp_path: Path) -> None:
    try:
        got = rows(written(tmp_path / "q", data), container)
    except Refused:
        assert container == "csv"
    else:
        numbers = [row.line for row in got]
        assert numbers == sorted(set(numbers), key=int)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff"))
"""Not the byte order mark, which is none of a text's at its beginning."""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cells=st.lists(st.lists(texts, min_size=1), min_size=1))
def test_csv_comes_as_it_was_written(cells: list[list[str]], tmp_path: Path) -> None:
    file = written(tmp_path / "q.csv", table(cells))
    assert [row.value for row in rows(file, "cells")] == [record for record in cells if any(record)]


def many(count: int, container: Container, path: Path) -> Path:
    stem = "x" * 500
    if container == "parquet":  # of what can't be compressed
        random = Random(count)
        rows = [{**ROW, "question": random.randbytes(500).hex()} for _ in range(count)]
        return as_parquet(path, rows, row_group_size=1_000)
    if container == "json":
        return written(path, json.dumps({str(n): sources.pubmedqa(question=stem) for n in range(count)}).encode())
    if container == "jsonl":
        return written(path, lines({**ROW, "question": f"{stem} {n}"} for n in range(count)))
    return written(path, table([HEADER, *([stem, *TEXTS, "C"] for _ in range(count))]))


@pytest.mark.parametrize("container", ["jsonl", "csv", "json", "parquet"])
def test_memory_does_not_grow_with_the_file(container: Container, tmp_path: Path) -> None:
    def peak(count: int) -> int:
        file = many(count, container, tmp_path / f"q{count}")
        tracemalloc.start()
        pool = pa.total_allocated_bytes()
        highest = 0
        with reading(file, Shape(container, document=Document("rows", ("*",)))) as read:
            for _ in read.rows:
                highest = max(highest, pa.total_allocated_bytes() - pool)
        traced = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return traced + highest

    peak(1_000)  # what is imported and made once
    assert peak(8_000) < 2 * peak(2_000)
