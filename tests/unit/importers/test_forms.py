"""JSON, tables, packings, encodings and places in every form that tools write."""

import bz2
import gzip
import io
import json
import lzma
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import fs, parquet

from services.importers.dry_run import Preview, preview
from services.importers.files import Observer, submit_file
from services.importers.folders import walk
from services.importers.formats import Asked
from services.importers.places import Remote
from services.importers.readers.finite import Finite
from services.importers.submit import Stop
from tests.unit.importers.sources import OPTIONS, ROW, STEM, TEXTS, ListSink, lines, table, written

TWO = [ROW, {**ROW, "question": STEM + " 2"}]


def zst(data: bytes) -> bytes:
    made = pa.BufferOutputStream()
    with pa.CompressedOutputStream(made, "zstd") as stream:
        stream.write(data)
    return bytes(made.getvalue())


def read(path: Path, data: Any, **how: Any) -> Preview:
    return preview(written(path, data if isinstance(data, bytes) else json.dumps(data).encode()), Asked(**how))


@pytest.mark.parametrize(
    "document",
    [
        TWO,
        {"data": TWO},
        {"version": 1, "questions": TWO, "licence": {"name": "x"}},
        {"one": TWO[0], "two": TWO[1]},
        {"train": TWO[:1], "test": TWO[1:]},
        {"medqa": {"0000": TWO[0]}, "mmlu": {"a-1": TWO[1]}},
        {"exams": {"a": {"name": "A", "data": TWO[:1]}, "b": {"name": "B", "data": TWO[1:]}}},
        {"features": [{"name": "question", "type": {}}], "rows": [{"row_idx": n, "row": r} for n, r in enumerate(TWO)]},
        [{"id": n, "data": row, "annotations": [{"result": []}]} for n, row in enumerate(TWO)],
        {name: {str(n): row[name] for n, row in enumerate(TWO)} for name in ROW},
        {name: [row[name] for row in TWO] for name in ROW},
        {"columns": list(ROW), "index": [0, 1], "data": [list(row.values()) for row in TWO]},
        {"schema": {"fields": [{"name": "question", "type": "string"}]}, "data": TWO},
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_rows_are_found_wherever_a_document_has_them(document: Any, indent: int | None, tmp_path: Path) -> None:
    for name in ("q.json", "q.jsonl"):
        made = read(tmp_path / name, json.dumps(document, indent=indent).encode())
        if name == "q.json" or indent:
            assert (made.accepted, made.rejected) == (2, 0), (made, name)
            assert made.first
            assert (made.first["question"], made.first["answer"]) == (STEM, "C")


def test_several_values_one_after_the_other(tmp_path: Path) -> None:
    assert read(tmp_path / "q.jsonl", "\n".join(json.dumps(row, indent=2) for row in TWO).encode()).accepted == 2
    assert read(tmp_path / "q.json", ROW).accepted == 1
    assert read(tmp_path / "q.json", b"[\n" + b",\n".join(lines(TWO).splitlines()) + b"\n]").accepted == 2
    assert read(tmp_path / "q.jsonl", b",\n".join(lines(TWO).splitlines())).accepted == 2


def test_nan_is_null_outside_of_texts(tmp_path: Path) -> None:
    rows = [{**ROW, "question": "Is NaN -Infinity?", "exp": float("nan"), "weight": float("-inf")}, ROW]
    for data in (json.dumps(rows).encode(), lines(rows)):
        made = read(tmp_path / "q.json", data)
        assert made.accepted == 2
        assert made.first
        assert made.first["question"] == "Is NaN -Infinity?"


@given(st.lists(st.text('"\\NaN-Infinity :,') | st.floats() | st.none(), max_size=20), st.integers(1, 40))
def test_only_numbers_that_are_none_change(values: list[Any], size: int) -> None:
    class Slow(io.BytesIO):
        """A few bytes at a time."""

        def read(self, count: int | None = -1) -> bytes:
            return super().read(size)

    def plain(value: Any) -> Any:
        return None if isinstance(value, float) and (value != value or abs(value) == float("inf")) else value

    data = io.BufferedReader(Finite(Slow(json.dumps(values).encode()))).read()
    assert json.loads(data) == [plain(value) for value in values]


@pytest.mark.parametrize(
    ("document", "why"),
    [([], "no rows"), ({}, "no rows"), ([[STEM, *TEXTS, "C"]], "no objects"), ([1], "no objects"),
     ([{"instruction": STEM, "output": "x"}], "open question"), ({"a": {"b": 1}}, "not recognised"),
     ([{"stem": STEM, "list": TEXTS, "gold": "C"}], "--columns question=stem,options=list,answer=gold")],
)  # fmt: skip
def test_a_document_without_questions_says_what_to_do(document: Any, why: str, tmp_path: Path) -> None:
    made = read(tmp_path / "q.json", document)
    assert made.state == "refused"
    assert why in (made.why or "")


def test_the_command_that_is_shown_works(tmp_path: Path) -> None:
    rows = [{"stem": STEM, "list": TEXTS, "gold": "C"}]
    given = dict(
        pair.split("=") for pair in (read(tmp_path / "q.json", rows).why or "").split("--columns ")[1].split(",")
    )
    assert read(tmp_path / "q.json", rows, columns=given).accepted == 1


PLAIN = table([["question", "A", "B", "C", "D", "answer"], [STEM, *TEXTS, "C"]]).decode()
SEMICOLON = PLAIN.replace(",", ";")


@pytest.mark.parametrize(
    "data",
    [
        PLAIN.encode(), b"\xef\xbb\xbf" + PLAIN.encode(), SEMICOLON.encode(), PLAIN.replace(",", "\t").encode(),
        PLAIN.replace(",", "|").encode(), b"sep=;\r\n" + SEMICOLON.encode(), PLAIN.replace("\r\n", "\r").encode(),
        PLAIN.encode("utf-16"), PLAIN.encode("utf-16-le"), SEMICOLON.encode("utf-16"),
        PLAIN.replace(",", ", ").encode(),
        PLAIN.replace("\r\n", ",,\r\n").encode() + b",,,,,,,\r\n", b"\r\n" + PLAIN.encode(), PLAIN.upper().encode(),
        PLAIN.replace("answer", " Correct Answer ").encode(), ("x," + PLAIN.replace("\r\n", "\r\n1,", 1)).encode(),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["q.csv", "q.CSV", "q.tsv"])
def test_a_table_in_each_form(data: bytes, name: str, tmp_path: Path) -> None:
    made = read(tmp_path / name, data)
    assert (made.accepted, made.rejected) == (1, 0), made
    assert made.first
    assert [text.lower() for text in made.first["options"].values()] == [text.lower() for text in TEXTS]
    assert made.first["answer"] == "C"


def test_encodings(tmp_path: Path) -> None:
    western = "question,A,B,answer\nPatient’s état, 5 µg?,x,y,A\n".replace("t, 5", "t 5")
    made = read(tmp_path / "q.csv", western.encode("cp1252"))
    assert made.first
    assert made.first["question"] == "Patient’s état 5 µg?"
    assert "Windows-1252" in (made.notice or "")
    chinese = "question,A,B,answer\n缺乏哪种维生素,甲,乙,A\n".encode("gb18030")
    assert "--encoding" in (read(tmp_path / "q.csv", chinese).why or "")
    made = read(tmp_path / "q.csv", chinese, encoding="gb18030")
    assert made.first
    assert made.first["question"] == "缺乏哪种维生素"


@pytest.mark.parametrize(
    ("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress), (".zst", zst)]
)
@pytest.mark.parametrize("name", ["q.jsonl", "q.csv", "q.json"])
def test_packings(suffix: str, pack: Callable[[bytes], bytes], name: str, tmp_path: Path) -> None:
    data = {"q.jsonl": lines(TWO), "q.csv": PLAIN.encode(), "q.json": json.dumps(TWO).encode()}[name]
    for file in (tmp_path / (name + suffix), tmp_path / name):  # the bytes say it, not the name
        made = read(file, pack(data))
        assert (made.accepted, made.rejected) == (1 if name == "q.csv" else 2, 0), made
    cut = read(tmp_path / (name + suffix), pack(data * 50)[:-9])
    assert cut.state == "refused" or cut.rejected


def test_arrow_files_and_streams(tmp_path: Path) -> None:
    rows = pa.Table.from_pylist(TWO)
    for name, new in (("s.arrow", pa.ipc.new_stream), ("f.arrow", pa.ipc.new_file)):
        with pa.OSFile(str(tmp_path / name), "wb") as data, new(data, rows.schema) as writer:
            writer.write_table(rows)
        assert preview(tmp_path / name, Asked()).accepted == 2


@pytest.mark.parametrize("data", [b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"\x80\x04", b"%PDF-1", b"7z\xbc\xaf"])
def test_unsupported_files_are_refused_with_a_remedy(data: bytes, tmp_path: Path) -> None:
    made = read(tmp_path / "q.xlsx", data + b"x" * 100)
    assert made.state == "refused"
    assert made.why


class TestPlaces:
    @pytest.fixture
    def bucket(self, tmp_path: Path) -> Remote:
        """A folder that is reached as a bucket is."""
        inner = tmp_path / "inner"
        (inner / "deep").mkdir(parents=True)
        written(inner / "a.jsonl", lines(TWO))
        written(inner / "deep" / "b.csv", PLAIN.encode())
        written(inner / "README.md", b"x")
        parquet.write_table(pa.Table.from_pylist(TWO), inner / "deep" / "c.parquet")
        return Remote("s3://bucket/inner", fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()), "inner")

    def test_its_files_are_read_at_any_depth(self, bucket: Remote) -> None:
        found = walk(bucket)
        assert [file.name for file in found.files] == ["a.jsonl", "b.csv", "c.parquet"]
        assert [one.name for one in found.passed_over] == ["s3://bucket/inner/README.md"]
        assert [preview(file, Asked()).accepted for file in found.files] == [2, 1, 2]

    async def test_its_positions_are_kept_beside(
        self, bucket: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        sink = ListSink()
        for state in ("done", "already"):
            file = walk(bucket).files[0]
            made = await submit_file(file, Asked(), "c", sink, observer=Observer(), stop=Stop())
            assert made.state == state
        assert len(sink.questions) == 2
        assert (tmp_path / "inner" / "a.jsonl.submitted.json").exists()


def big(form: str, count: int) -> Iterator[bytes]:
    """A document of many rows, piece by piece."""
    row = {**ROW, "question": "x" * 2_000}
    if form == "columns":
        for mark, name in zip("{,,", ROW, strict=True):
            cells = b",".join(b'"%d":%s' % (n, json.dumps(row[name]).encode()) for n in range(count))
            yield mark.encode() + json.dumps(name).encode() + b":{" + cells + b"}"
        yield b"}"
        return
    start, end = {"array": ("[", "]"), "wrapped": ('{"data":[', "]}")}[form]
    yield start.encode()
    for number in range(count):
        yield (b"," if number else b"") + json.dumps(row).encode()
    yield end.encode()


@pytest.mark.parametrize("form", ["array", "wrapped", "columns"])
def test_memory_does_not_grow_with_a_document(form: str, tmp_path: Path) -> None:
    def peak(count: int) -> int:
        file = written(tmp_path / f"{count}.json", b"".join(big(form, count)))
        tracemalloc.start()
        assert preview(file, Asked()).accepted == count
        traced = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return traced

    peak(200)
    assert peak(1_600) < 2 * peak(400)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    data=st.binary(max_size=200) | st.text('[]{}":,ab\n1').map(str.encode),
    name=st.sampled_from(["q", "q.json", "q.jsonl", "q.csv", "q.tsv"]),
)
def test_no_file_is_too_strange(data: bytes, name: str, tmp_path: Path) -> None:
    made = preview(written(tmp_path / name, data), Asked())
    assert made.accepted == 0


def test_rows_of_other_layouts_in_one_file(tmp_path: Path) -> None:
    rows = [ROW, {"question": STEM, "options": TEXTS, "answer": "C"}, {"question": STEM, **OPTIONS, "answer": "C"}]
    assert read(tmp_path / "q.jsonl", lines(rows)).accepted == 3
