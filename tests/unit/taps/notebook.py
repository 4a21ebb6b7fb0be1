"""Runs docs/analyses.ipynb: every code cell in order, in one namespace, in the notebook's folder.

    python -m tests.unit.taps.notebook      run it, and write into it what its cells print

No Jupyter: a kernel would bring some thirty packages and its sockets for cells that are plain Python and only print.
"""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).parents[3] / "docs/analyses.ipynb"


def executed(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook with what its cells print now. Raises what a cell raises."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    count, cells = 0, []
    with contextlib.chdir(NOTEBOOK.parent):
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                count += 1
                printed = _run("".join(cell["source"]), namespace)
                cell = {**cell, "execution_count": count, "outputs": printed}
            cells.append(cell)
    return {**notebook, "cells": cells}


def _run(code: str, namespace: dict[str, Any]) -> list[dict[str, Any]]:
    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec(compile(code, NOTEBOOK.name, "exec"), namespace)
    text = said.getvalue().splitlines(keepends=True)
    return [{"name": "stdout", "output_type": "stream", "text": text}] if text else []


def main() -> None:
    """Regenerate the notebook."""
    done = executed(json.loads(NOTEBOOK.read_text()))
    NOTEBOOK.write_text(json.dumps(done, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
