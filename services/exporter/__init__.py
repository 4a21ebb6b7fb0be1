"""The topic record-completed as a Delta table, on a folder or an object store: each record once.

A commit adds one part of one partition, and carries the partition's next offset. The position is the table's, never the
consumer group's: a part and the step past its messages become true in one commit. A writer that has lost its partition
is refused by the log. Read the dataset with services.datasets.dataset.
"""
