"""A training run: a snapshot of the dataset, checks, `trl sft`, and a record of what was trained on what."""
