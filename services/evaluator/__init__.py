"""The score evaluator: rates a sample of a dataset's records. It only reads the dataset."""
