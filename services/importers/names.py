"""The names of formats, without what reads them: for help texts."""

from typing import Literal

Format = Literal[
    "auto", "questions", "medqa", "biomed-r1", "swag", "medmcqa", "medmcqa-from-0", "medmcqa-from-1", "jama", "medbullets",
    "mmlu", "mmlu-hub", "mmlu-pro", "pubmedqa", "pubmedqa-hub", "bigbio-qa", "bioasq", "head-qa", "medxpertqa", "careqa",
    "kormedmcqa", "cmb", "cmexam", "frenchmedmcqa", "frenchmedmcqa-hub", "openlifescienceai", "csv", "tsv", "jsonl",
    "json", "parquet", "arrow",
]  # fmt: skip

AUTO = "auto"
PLAIN = ("csv", "tsv", "jsonl", "json", "parquet", "arrow")
"""Plainly named fields, in this container."""
OURS = "questions"
"""The contract's own form."""
FROM = {"medmcqa-from-0": 0, "medmcqa-from-1": 1}
"""MedMCQA with the first number that the user gives."""
