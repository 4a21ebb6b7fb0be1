"""What a person expects of each small file in tests/data/question_files: accepted, rejected, and why."""

from pathlib import Path

import pytest

from services.importers.dry_run import Preview, preview
from services.importers.folders import walk
from services.importers.formats import Asked

FILES = Path(__file__).parents[2] / "data" / "question_files"

ACCEPTED: dict[str, tuple[str, int]] = {
    "UPPER.JSONL": ("questions", 1),
    "anatomy_test.csv": ("mmlu", 1),
    "anatomy_test.tsv": ("mmlu", 1),
    "answer_before_named.csv": ("csv", 1),
    "answer_before_options.csv": ("csv", 2),
    "arc.jsonl": ("jsonl", 1),
    "bigbio_med_qa_bigbio_qa.parquet": ("bigbio-qa", 1),
    "bigbio_med_qa_source.parquet": ("medqa", 1),
    "bigbio_pubmed_qa.jsonl": ("bigbio-qa", 1),
    "biomed_r1.parquet": ("biomed-r1", 1),
    "bom.jsonl": ("questions", 1),
    "comma_after.jsonl": ("questions", 2),
    "empty_options.jsonl": ("jsonl", 2),
    "evalsets/anatomy_test.tsv": ("mmlu", 1),
    "evalsets/medqa/test.jsonl": ("questions", 1),
    "evalsets/top.jsonl": ("questions", 1),
    "folder_unknown/B.CSV": ("csv", 1),
    "head_qa_en.parquet": ("head-qa", 1),
    "hf.parquet": ("parquet", 2),
    "hf_disk/data-00000-of-00001.arrow": ("arrow", 2),
    "hf_to_csv_dict.csv": ("csv", 2),
    "hf_to_csv_list.csv": ("csv", 2),
    "hf_to_json.jsonl": ("questions", 2),
    "hubrepo/data/train-00000-of-00001.parquet": ("parquet", 1),
    "intid.csv": ("csv", 1),
    "intid.jsonl": ("jsonl", 2),
    "jama.parquet": ("jama", 1),
    "kormedmcqa_doctor-test.csv": ("kormedmcqa", 1),
    "latin1.csv": ("csv", 1),
    "latin1.jsonl": ("questions", 1),
    "letter_and_idx.jsonl": ("medqa", 1),
    "list_lower.jsonl": ("jsonl", 2),
    "lower.csv": ("csv", 6),
    "lower.jsonl": ("jsonl", 3),
    "lower_header.csv": ("csv", 1),
    "medbullets_op4.csv": ("medbullets", 1),
    "medbullets_op4_clean.csv": ("medbullets", 1),
    "medbullets_op5.json": ("medbullets", 1),
    "medmcqa-validation.parquet": ("medmcqa", 2),
    "medmcqa_pandas.jsonl": ("medmcqa", 2),
    "medqa_hf.json": ("swag", 1),
    "mirage_benchmark.json": ("questions", 2),
    "mixed.jsonl": ("questions", 3),
    "mixed2.jsonl": ("jsonl", 2),
    "mmlu_header.csv": ("csv", 1),
    "mmlu_pro.jsonl": ("mmlu-pro", 1),
    "numeric_options.jsonl": ("jsonl", 2),
    "numeric_options.parquet": ("parquet", 1),
    "olsai_medqa.parquet": ("openlifescienceai", 1),
    "option_columns.csv": ("csv", 1),
    "pd_cols.csv": ("csv", 2),
    "pd_default.json": ("questions", 2),
    "pd_dumps.jsonl": ("jsonl", 2),
    "pd_index.json": ("questions", 2),
    "pd_lines.jsonl": ("questions", 2),
    "pd_list.csv": ("csv", 2),
    "pd_records.json": ("questions", 2),
    "phrases_no_exclude_train.jsonl": ("medqa", 1),
    "pretty_concatenated.jsonl": ("questions", 2),
    "q.json.gz": ("questions", 2),
    "questions_array.json": ("questions", 1),
    "semicolon_bom.csv": ("csv", 1),
    "six.csv": ("csv", 1),
    "spaced_header.csv": ("csv", 1),
    "tab.tsv": ("tsv", 1),
    "utf16.jsonl": ("questions", 1),
    "wrapped.json": ("questions", 1),
}
"""Files of which every row is taken: the format's name, and how many rows."""

SEVERAL, BLANK, PICTURE = "several answers", "is blank", "image"
TWICE = "correct replies would be errors"

REJECTED: dict[str, tuple[int, list[tuple[int, str, str]]]] = {
    "CMB-val-merge.json": (1, [(2, "answer", SEVERAL)]),
    "blood.jsonl": (0, [(1, "answer", "the letter of one option and the text of another")]),
    "cmb.jsonl": (1, [(2, "answer", SEVERAL)]),
    "cmexam_train.csv": (1, [(5, "Answer", SEVERAL)]),
    "eleven.jsonl": (0, [(1, "options", "at most 10"), (2, "options", "at most 10")]),
    "frenchmedmcqa.jsonl": (1, [(2, "correct_answers", SEVERAL)]),
    "gap_list.jsonl": (0, [(1, "options.B", BLANK), (2, "options.B", BLANK)]),
    "hippocrates_medqa.parquet": (0, [(1, "options", "letters without texts")]),
    "long_context.jsonl": (0, [(1, "context.0", "at most 20000")]),
    "medmcqa_pandas.parquet": (2, [(2, "answer", "no answer")]),
    "medxpertqa_mm_test.jsonl": (0, [(1, "images", PICTURE)]),
    "metamedqa.parquet": (0, [(1, "options.E", BLANK)]),  # to close the gap would move the letter of the answer
    "multi.jsonl": (1, [(1, "answer", SEVERAL), (2, "answer", SEVERAL)]),
    "nul.jsonl": (0, [(1, "question", "NUL")]),
    "quality.jsonl": (
        4,
        [(1, "options.A", BLANK), (2, "question", BLANK), (3, "options.A", TWICE), (4, "options.D", TWICE),
         (6, "question", PICTURE), (9, "options.A", "a missing value")],
    ),
    "train_HEAD_EN.json": (0, [(1, "ra", "3 is not an option")]),
    "trailing_comma.jsonl": (0, [(1, "row", "not JSON")]),
}  # fmt: skip
"""Files with rows that are rejected: how many are taken, and of the others line, field and why."""

REFUSED = {
    "ReasonMed.json": "open question",
    "arch.zip": "Excel workbook",
    "folder_unknown/a.tsv": "not recognised",
    "folder_unknown/c.jsonl.zst": "cannot be decompressed",
    "hf_disk/dataset_info.json": "describes a dataset",
    "hf_disk/state.json": "describes a dataset",
    "hubrepo/README.md": "not recognised as JSON lines, CSV",
    "medical_o1_verifiable_problem.json": "open question",
    "saved_to_disk/dataset_dict.json": "describes a dataset",
    "saved_to_disk/train/state.json": "describes a dataset",
}
"""Files of which no row is taken."""


def read(name: str) -> Preview:
    return preview(FILES / name, Asked())


def test_every_file_has_its_expectation() -> None:
    names = {str(file.relative_to(FILES)) for file in FILES.rglob("*") if file.is_file()}
    assert names == {*ACCEPTED, *REJECTED, *REFUSED}


@pytest.mark.parametrize("name", ACCEPTED)
def test_every_row_is_taken(name: str) -> None:
    made = read(name)
    assert (made.state, made.format, made.accepted, made.rejected) == ("ok", *ACCEPTED[name], 0), made


@pytest.mark.parametrize("name", REJECTED)
def test_a_row_that_is_no_question_says_why(name: str) -> None:
    accepted, rows = REJECTED[name]
    made = read(name)
    assert (made.state, made.accepted, made.rejected) == ("ok", accepted, len(rows)), made
    for row, (line, field, why) in zip(made.rows, rows, strict=True):
        assert (row["line"], row["field"]) == (line, field)
        assert why in row["why"]


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_holds_no_questions_says_why(name: str) -> None:
    made = read(name)
    assert (made.state, made.accepted) == ("refused", 0)
    assert REFUSED[name] in (made.why or "")


GOLD = {"lower.csv": "A", "kormedmcqa_doctor-test.csv": "C", "medmcqa-validation.parquet": "C", "jama.parquet": "E",
        "arc.jsonl": "C", "medqa_hf.json": "C", "head_qa_en.parquet": "C", "bigbio_pubmed_qa.jsonl": "A"}  # fmt: skip


@pytest.mark.parametrize("name", GOLD)
def test_no_answer_moves(name: str) -> None:
    first = read(name).first
    assert first is not None
    assert first["answer"] == GOLD[name]


def test_texts_come_without_the_marks_of_their_list() -> None:
    assert (first := read("cmexam_train.csv").first)
    assert first["options"] == {"A": "维生素A", "B": "维生素B", "C": "维生素C"}
    assert (first := read("latin1.csv").first)
    assert first["question"] == "Déficit en vitamine?"


def test_skipped_files_of_a_folder_are_listed() -> None:
    found = walk(FILES / "saved_to_disk")
    assert found.files == []
    assert [(Path(one.name).name, one.why) for one in found.passed_over] == [
        ("dataset_dict.json", "describes a dataset, and has no rows"),
        ("state.json", "describes a dataset, and has no rows"),
    ]
