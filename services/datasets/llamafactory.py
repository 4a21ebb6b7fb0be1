"""dataset_info.json for LLaMA-Factory, with one dataset per split."""

from typing import Any, assert_never

from services.datasets.names import Form
from services.datasets.shards import PARQUET
from services.datasets.summary import Summary

_CHAT_TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
}


def dataset_info(summary: Summary) -> dict[str, Any]:
    """The file's content. Empty for forms that LLaMA-Factory doesn't read."""
    columns = _columns(summary.form, has_system=summary.system is not None)
    if columns is None:
        return {}
    return {
        name: {"file_name": f"{PARQUET}/{name}", **columns} for name, split in summary.splits.items() if split.records
    }


def _columns(form: Form, *, has_system: bool) -> dict[str, Any] | None:
    match form:
        case "messages" | "think":
            return {"formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": _CHAT_TAGS}
        case "dpo":
            columns = {"messages": "prompt", "chosen": "chosen_message", "rejected": "rejected_message"}
            return {"formatting": "sharegpt", "ranking": True, "columns": columns, "tags": _CHAT_TAGS}
        case "kto":
            columns = {"messages": "conversation", "kto_tag": "label"}
            return {"formatting": "sharegpt", "columns": columns, "tags": _CHAT_TAGS}
        case "sharegpt":
            tags = {
                "role_tag": "from",
                "content_tag": "value",
                "user_tag": "human",
                "assistant_tag": "gpt",
                "system_tag": "system",
            }
            return {"formatting": "sharegpt", "columns": {"messages": "conversations"}, "tags": tags}
        case "alpaca":
            columns = {"prompt": "instruction", "query": "input", "response": "output"}
            return {"formatting": "alpaca", "columns": columns | ({"system": "system"} if has_system else {})}
        case "prompt-completion" | "rl" | "prm" | "verifier":
            return None
        case _:
            assert_never(form)
