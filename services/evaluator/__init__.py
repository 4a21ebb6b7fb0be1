"""The score evaluator: how good a sample of the finished records is. It judges a dataset, and changes nothing in it."""
