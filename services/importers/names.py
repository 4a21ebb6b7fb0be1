"""The names of formats, for help texts, without importing their readers."""

from typing import Literal

Format = Literal[
    "auto", "questions", "arc", "bigbio-qa", "bioasq", "biomed-r1", "careqa", "cmb", "cmexam", "frenchmedmcqa",
    "frenchmedmcqa-hub", "head-qa", "jama", "kormedmcqa", "medbullets", "medmcqa", "medmcqa-from-0", "medmcqa-from-1",
    "medqa", "medxpertqa", "mmlu", "mmlu-hub", "mmlu-pro", "openlifescienceai", "pubmedqa", "pubmedqa-hub", "swag",
    "csv", "tsv", "jsonl", "json", "parquet", "arrow",
]  # fmt: skip

AUTO = "auto"
PLAIN = ("csv", "tsv", "jsonl", "json", "parquet", "arrow")
"""Plainly named fields, in this container."""
OURS = "questions"
"""The contract's own form."""
FROM = {"medmcqa-from-0": 0, "medmcqa-from-1": 1}
"""MedMCQA with the base that the user sets."""
