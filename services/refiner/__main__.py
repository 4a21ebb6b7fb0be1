"""`python -m services.refiner --lane medium|difficult`: one worker of a lane; each lane is a consumer group.

Settings: REASONMED_*, see services/runtime/process/settings.py.
"""

import argparse

from services.contracts.case import Stage
from services.contracts.topics import CASE_DIFFICULT, CASE_MEDIUM
from services.refiner.handler import reason_again, refine
from services.runtime.process.settings import Settings
from services.runtime.process.settings_help import usage
from services.worker.handling import CaseHandler
from services.worker.stage import run_stage

LANES: dict[str, tuple[str, CaseHandler, Stage]] = {
    "medium": (CASE_MEDIUM, refine, "refine"),
    "difficult": (CASE_DIFFICULT, reason_again, "reason"),
}


def main() -> None:
    """Work until SIGTERM."""
    parser = argparse.ArgumentParser(
        prog="reasonmed-refiner",
        description="One worker of the refiner. medium: the error refiner rewrites a case's best paths.\n"
        "difficult: the strong model reasons a case again. Lanes scale independently.",
        epilog=usage("refiner", Settings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--lane", choices=sorted(LANES), required=True)
    lane = parser.parse_args().lane
    topic, handler, stage = LANES[lane]
    run_stage("refiner", topics=[topic], handler=handler, stages=[stage], group=f"refiner-{lane}", arguments=())


if __name__ == "__main__":
    main()
