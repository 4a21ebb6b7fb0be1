"""What was written loads with Hugging Face `datasets`, with no network."""

import json
import os
import subprocess
import sys
from pathlib import Path

from services.datasets.export import export
from services.datasets.forms import Form
from tests.unit.datasets.world import records, request, rows_of, write_parts

SCRIPT = """
import json, sys
from datasets import Features, load_dataset

def rows(loaded):
    return {split: list(rows) for split, rows in loaded.items()}

out = []
for folder in sys.argv[1:]:
    loaded = load_dataset(folder)
    assert loaded["train"].features == Features.from_arrow_schema(loaded["train"].data.schema)
    files = {split: f"{folder}/jsonl/{split}-*.jsonl" for split in loaded}
    out.append([rows(loaded), rows(load_dataset("json", data_files=files))])
json.dump(out, sys.stdout)
"""
FORMS: tuple[Form, ...] = ("alpaca", "sharegpt", "messages")


def test_a_folder_loads_as_it_was_written_in_both_kinds_of_file(tmp_path: Path) -> None:
    """In a process of its own, for the library reads its settings when it is imported."""
    write_parts(tmp_path / "parts", [records(40)])
    for form in FORMS:
        export(request(form=form, lineage=form != "sharegpt"), tmp_path / "parts", tmp_path / form)
    settings = {"HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    words = [sys.executable, "-c", SCRIPT, *(str(tmp_path / form) for form in FORMS)]
    ended = subprocess.run(words, env={**os.environ, **settings}, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    for form, (parquet, lines) in zip(FORMS, json.loads(ended.stdout), strict=True):
        written = {split: rows_of(tmp_path / form, split) for split in ("train", "test")}
        assert parquet == lines == written
