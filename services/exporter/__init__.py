"""The way out: the topic record-completed as Parquet parts in a folder, each message in exactly one part.

    folder/
      part-0003-000000001500.parquet   records of partition 3, the first of them read at offset 1500
      manifest-0003.json               which parts of partition 3 count, and the offset to go on from
      lock-0003                        held (flock) by the one process that writes partition 3

The position is the manifest's, never the consumer group's: a part and the step past its messages become true in one
rename. A kill at any moment leaves at most a part that no manifest names, which the next start removes. Read the
dataset with `dataset.read_dataset`, which reads what the manifests name and nothing else.
"""
