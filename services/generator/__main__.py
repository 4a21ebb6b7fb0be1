"""`python -m services.generator`: one worker. Settings: REASONMED_*, see services/runtime/process/settings.py."""

from services.contracts.topics import CASE_UNDECIDED, QUESTION_ADMITTED
from services.generator.handler import generate
from services.worker.stage import run_stage


def main() -> None:
    """Work until SIGTERM."""
    run_stage("generator", topics=(CASE_UNDECIDED, QUESTION_ADMITTED), handler=generate, stages=["generate"])


if __name__ == "__main__":
    main()
