"""`python -m services.verifier`: one worker. Settings: REASONMED_*, see services/runtime/process/settings.py."""

from services.contracts.topics import PATHS_GENERATED
from services.verifier.handler import verify
from services.worker.stage import run_stage


def main() -> None:
    """Work until SIGTERM."""
    run_stage("verifier", topics=[PATHS_GENERATED], handler=verify, stages=["verify", "score"])


if __name__ == "__main__":
    main()
