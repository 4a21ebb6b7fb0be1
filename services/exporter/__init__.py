"""Exports the topic record-completed to a Delta table in a folder or object store: each record once.

A commit adds one part of one partition with the partition's next offset. The position comes from the table, not from
the consumer group, so rows and position are committed atomically. The log refuses a writer that has lost its partition.
Read the dataset with services.datasets.dataset.
"""
