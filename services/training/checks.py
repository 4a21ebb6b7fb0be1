"""Checks before a training: each names the cause and the remedy. Pure, but for the files they read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.core.errors import Trouble


class NotReady(Trouble):
    """The training would not be what it says."""


def check_config(config: Mapping[str, Any], file: Path) -> int:
    """Its max_length. TRL's default of 1,024 tokens cuts the end of longer rows, and with it the final answer; packing
    lets rows read each other where the attention kernel does not keep them apart."""
    max_length = config.get("max_length")
    if not isinstance(max_length, int) or max_length < 1:
        raise NotReady(
            f"{file} has no max_length, and TRL's default of 1,024 tokens would cut longer rows without a word: set it "
            "to what the GPUs have room for"
        )
    if config.get("packing") and not str(config.get("attn_implementation", "")).startswith("flash"):
        raise NotReady(f"{file} packs rows without a flash-attention kernel: they read each other. Turn packing off")
    return max_length


def check_snapshot(export: Mapping[str, Any], variant: str, index: str, sha256: str) -> None:
    """An export of this variant as prompt-completion, checked against this index of evaluation questions."""
    if export.get("form") != "prompt-completion":
        raise NotReady(
            f"the snapshot has the form {export.get('form')}, whose loss may count the question: export it with "
            "--form prompt-completion, or delete the folder and let `train` do it"
        )
    if export.get("variant") != variant:
        raise NotReady(
            f"the snapshot is of {export.get('variant')}, not of {variant}: name another folder for this run"
        )
    held_out = export.get("held_out")
    if held_out is None:
        raise NotReady(
            f"the snapshot was not checked against {index}, so evaluation questions may be in it: export it with "
            f"--held-out {index}, or delete the folder and let `train` do it"
        )
    if held_out["sha256"] != sha256:
        raise NotReady(
            f"the snapshot was checked against another index ({held_out['index']}, {held_out['sha256'][:12]}…) than "
            f"{index} ({sha256[:12]}…), whose questions may be in it: export it again with --held-out {index}"
        )


def check_lengths(found: Mapping[str, Any], base: str, max_length: int, config: Path) -> None:
    """A base model with a chat template, and room for each row."""
    if not found["chat_template"]:
        raise NotReady(
            f"{base} has no chat template, so prompts can't be rendered: take an instruction-tuned model, or put a "
            "chat_template.jinja beside its tokenizer"
        )
    if found["too_long"]:
        longest = found["too_long_rows"][0]
        raise NotReady(
            f"{found['too_long']} rows have more than {max_length} tokens and would be cut before their final answer "
            f"(the first: {longest['record_id']}, {longest['tokens']} tokens; the longest has {found['longest']}): "
            f"raise max_length in {config}, or leave these records out of the snapshot"
        )
