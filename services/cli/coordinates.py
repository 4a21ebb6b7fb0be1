"""The coordinates of a running stack: FOLDER/stack.json, written by `up`, read by the commands that use it."""

from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ValidationError

from services.cli.console import UP, Failed
from services.contracts.codec import explain
from services.runtime.kafka.client import KafkaClient
from services.runtime.process.settings import Settings

FILE = "stack.json"


class Coordinates(BaseModel):
    """The addresses of a running stack. The ledger's may hold a password, so only the owner may read the file."""

    pid: int
    bootstrap: str
    gateway: str
    ledger: str
    dataset: Path
    calls_log: Path | None
    """The scripted model server's own log."""
    recipe_id: str
    metrics: dict[str, str]
    """The address of each worker's metrics."""


def save(folder: Path, coordinates: Coordinates) -> None:
    """Write FOLDER/stack.json."""
    file = folder / FILE
    file.touch(mode=0o600)
    file.write_text(coordinates.model_dump_json(indent=2) + "\n")


def forget(folder: Path) -> None:
    """Remove FOLDER/stack.json: the stack has stopped."""
    (folder / FILE).unlink(missing_ok=True)


def load(folder: Path) -> Coordinates | None:
    """The running stack of this folder, if there is one. Raises Failed where the file can't be read."""
    try:
        return Coordinates.model_validate_json((folder / FILE).read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise Failed(f"{folder / FILE} can't be read: stop the stack of this folder and delete it") from error


def environment_settings() -> Settings:
    """The settings in REASONMED_*. Raises Failed, which names the variable that is invalid, never its value."""
    try:
        return Settings()
    except ValidationError as error:
        raise Failed(f"the settings in REASONMED_*: {explain(error)}") from error


def client(bootstrap: str | None, folder: Path) -> KafkaClient:
    """How to reach Kafka: `bootstrap`, else the environment's, else that of the stack in the folder.

    Raises Failed where no stack runs in a folder that was named.
    """
    settings = environment_settings()
    if bootstrap is not None:
        return replace(settings.kafka, bootstrap=bootstrap)
    if "kafka" in settings.model_fields_set:
        return settings.kafka
    if (running := load(folder)) is not None:
        return replace(settings.kafka, bootstrap=running.bootstrap)
    if folder != UP:
        raise Failed(f"no stack runs in {folder}: start it with `reasonmed up --folder {folder}`, or name --bootstrap")
    return settings.kafka


def ledger(folder: Path) -> str:
    """The ledger's address, which may hold a password: the environment's, else that of the stack in the folder.

    Raises Failed where there is neither: the default would create a new, empty ledger.
    """
    settings = environment_settings()
    if "ledger" in settings.model_fields_set:
        return settings.ledger.get_secret_value()
    if (running := load(folder)) is not None:
        return running.ledger
    raise Failed(
        f"no stack runs in {folder}: start one with `reasonmed up`, or name its --folder, or set REASONMED_LEDGER"
    )
