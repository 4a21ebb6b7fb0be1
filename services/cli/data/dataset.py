"""The dataset of a run: `export`, `sql` and `evaluate` mean the same one as `status` and `account`."""

from pathlib import Path

from services.cli.console import Failed

RUNS = Path("build")
"""Where `up`, `demo` and `replay` write, by default."""


def dataset_of(folder: Path) -> Path:
    """The dataset of the run in this folder. Raises Failed where there is none, and lists the runs that have one."""
    dataset = folder / "dataset"
    if dataset.is_dir():
        return dataset
    found = sorted({path.parent for pattern in ("*/dataset", "*/*/dataset") for path in RUNS.glob(pattern)})
    others = f"; these have one: {', '.join(map(str, found))}" if found else ""
    raise Failed(f"{folder} has no dataset: name the folder of a run with --folder{others}")
