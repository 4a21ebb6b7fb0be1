"""Exports records as a dataset for trainers: in one form, split by question.

    out/
      README.md                    the card: counts, recipes, costs, licences; its YAML is for `datasets.load_dataset`
      export.json                  the same for machines; a folder that has it is known as an export
      dataset_info.json            for LLaMA-Factory, where it reads the form
      data/train/00000.parquet     rows in the order of their record ids, 1,000 a row group
      jsonl/train/00000.jsonl      the same rows of the same shard, one JSON object a line

Deterministic: the same records and request give the same bytes, with any number of threads. DuckDB reads, filters and
counts; pyarrow writes.
"""
