"""`python -m services.summarizer`: one worker. Settings: REASONMED_*, see services/runtime/process/settings.py."""

from services.contracts.topics import CASE_ACCEPTED
from services.summarizer.handler import summarize
from services.worker.stage import run_stage


def main() -> None:
    """Work until SIGTERM."""
    run_stage("summarizer", topics=[CASE_ACCEPTED], handler=summarize, stages=["summarize"])


if __name__ == "__main__":
    main()
