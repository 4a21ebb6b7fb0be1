"""`python -m k8s.check`: the chart with default, small and large values, against schemas and rules. No Go, no cluster.

Exit 1 with a line for each problem: the object, what is wrong, and what to change.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

VALUES = Path(__file__).parents[1] / "values"


def main() -> int:
    """0 if there is no problem."""
    try:
        from k8s.check.chart import Refused, render
    except ModuleNotFoundError as error:  # helm-python-sdk has no wheel for this platform
        sys.stdout.write(f"k8s/chart is not checked here: {error}\n")
        return 0
    from k8s.check.rules import problems

    found = 0
    for name in ("default", "small", "large"):
        values: dict[str, Any] = {} if name == "default" else yaml.safe_load((VALUES / f"{name}.yaml").read_text())
        try:
            wrong = problems(render(values))
        except Refused as error:
            wrong = [str(error)]
        sys.stdout.writelines(f"{name} values: {each}\n" for each in wrong)
        found += len(wrong)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
