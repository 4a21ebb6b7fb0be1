"""From the exporter's parts to a dataset that trainers read: one variant in one form, split by question.

    out/
      README.md                   the card: counts, recipes, costs, licences; its YAML is for `datasets.load_dataset`
      export.json                 the same for machines, and the mark by which a folder is known as ours
      data/train-00000.parquet    records in the order of their ids, 1,000 a row group
      jsonl/train-00000.jsonl     the same records of the same shard, one JSON object a line

Same parts and same request, same bytes, on any number of threads. DuckDB reads, filters, splits, shapes and counts;
pyarrow writes.
"""
