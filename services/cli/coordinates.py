"""Where a running stack is: FOLDER/stack.json, written by `up`, read by the commands that use it."""

from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ValidationError

from services.cli.console import Failed
from services.contracts.codec import explain
from services.runtime.kafka.client import KafkaClient
from services.runtime.process.settings import Settings

FILE = "stack.json"


class Coordinates(BaseModel):
    """Where things are. The ledger's address may hold a password: the file is its owner's alone."""

    pid: int
    bootstrap: str
    gateway: str
    ledger: str
    dataset: Path
    calls_log: Path | None
    """The scripted model server's own log."""
    recipe_id: str
    metrics: dict[str, str]
    """By worker."""


def save(folder: Path, coordinates: Coordinates) -> None:
    """Write FOLDER/stack.json."""
    file = folder / FILE
    file.touch(mode=0o600)
    file.write_text(coordinates.model_dump_json(indent=2) + "\n")


def forget(folder: Path) -> None:
    """The stack has ended."""
    (folder / FILE).unlink(missing_ok=True)


def load(folder: Path) -> Coordinates | None:
    """The running stack of this folder, if there is one. Raises Failed where the file is none of ours."""
    try:
        return Coordinates.model_validate_json((folder / FILE).read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise Failed(f"{folder / FILE} is not readable: end what runs there and delete it") from error


def environment_settings() -> Settings:
    """What REASONMED_* say. Raises Failed, naming the variable that can't be read, never its value."""
    try:
        return Settings()
    except ValidationError as error:
        raise Failed(f"the settings in REASONMED_*: {explain(error)}") from error


def client(bootstrap: str | None, folder: Path) -> KafkaClient:
    """How to reach Kafka: the address given, else the environment's, else that of the stack in the folder."""
    settings = environment_settings()
    if bootstrap is not None:
        return replace(settings.kafka, bootstrap=bootstrap)
    if "kafka" not in settings.model_fields_set and (running := load(folder)) is not None:
        return replace(settings.kafka, bootstrap=running.bootstrap)
    return settings.kafka


def ledger(folder: Path) -> str:
    """The ledger's address, which may hold a password: the environment's, else that of the stack in the folder. Raises
    Failed where there is neither: a ledger of the default's name would be a new one."""
    settings = environment_settings()
    if "ledger" in settings.model_fields_set:
        return settings.ledger.get_secret_value()
    if (running := load(folder)) is not None:
        return running.ledger
    raise Failed(f"no stack runs in {folder}: name the ledger in REASONMED_LEDGER, or the stack's --folder")
