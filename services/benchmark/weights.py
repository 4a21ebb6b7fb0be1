"""The digest of local weights: the revision of a model that a benchmark can check."""

import hashlib
from pathlib import Path

from services.core.errors import Trouble

FILES = ("*.safetensors", "config.json", "generation_config.json", "tokenizer*", "chat_template*", "*.model", "*.gguf")
"""What decides a model's replies: weights, configuration, tokenizer, chat template. Not cards, reports and states."""
SHOWN = 12
"""Hex digits of the digest in a served name."""


class NoWeights(Trouble):
    """The folder holds no weights."""


def digest(folder: Path) -> str:
    """The SHA-256 over names and contents, in hex. Raises NoWeights, OSError."""
    files = sorted({file for pattern in FILES for file in folder.glob(pattern) if file.is_file()})
    if not any(file.suffix in (".safetensors", ".gguf") for file in files):
        raise NoWeights(f"{folder} holds no *.safetensors or *.gguf: name the folder of a model's weights")
    whole = hashlib.sha256()
    for file in files:
        with file.open("rb") as data:
            whole.update(f"{file.name} {hashlib.file_digest(data, 'sha256').hexdigest()}\n".encode())
    return whole.hexdigest()


def served_name(name: str, digest: str) -> str:
    """NAME@DIGEST: a server that was started on other weights does not know this name, and refuses the call."""
    return f"{name}@{digest[:SHOWN]}"
