"""A training environment without torch: a tokenizer of words, and a trainer that writes checkpoints as TRL's does."""

import sys
from pathlib import Path

_TRANSFORMERS = '''
import json
from pathlib import Path
from types import SimpleNamespace


class AutoTokenizer:
    """A token for each word; the chat template is that of the folder."""

    @classmethod
    def from_pretrained(cls, folder):
        made = cls()
        template = Path(folder, "chat_template.jinja")
        made.chat_template = template.read_text() if template.exists() else None
        return made

    def apply_chat_template(self, messages, tokenize, add_generation_prompt):
        text = " ".join(f"<{m['role']}> {m['content']} <end>" for m in messages)
        return text + (" <assistant>" if add_generation_prompt else "")

    def __call__(self, text, add_special_tokens):
        return SimpleNamespace(input_ids=text.split())
'''

_TRL = """
import json, os, signal, sys
from pathlib import Path

import yaml

assert sys.argv[1:3] == ["sft", "--config"]
config = yaml.safe_load(Path(sys.argv[3]).read_text())
out = Path(config["output_dir"])
cache = Path(os.environ["HF_DATASETS_CACHE"])
assert cache.parent == out.parent, "the cache is shared with other runs"
assert not cache.exists(), "the cache may hold other rows"
cache.mkdir()
first = config.get("resume_from_checkpoint")
step = int(str(first).rpartition("-")[2]) if first else 0
history = json.loads(Path(first, "trainer_state.json").read_text())["log_history"] if first else []
while step < config["max_steps"]:
    step += 1
    history.append({"step": step, "loss": round(1 / step, 4), "epoch": 0.1})
    if step % config["save_steps"] == 0:
        folder = out / f"checkpoint-{step}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.safetensors").write_text(f"weights at {step}")
        if step == int(os.environ.get("KILLED_AT", 0)):  # before the state: the checkpoint is not complete
            if "KILLER" in os.environ:
                Path(os.environ["KILLER"]).write_text("now")
                signal.pause()
            os.kill(os.getpid(), signal.SIGKILL)
        (folder / "trainer_state.json").write_text(json.dumps({"global_step": step, "log_history": history}))
(out / "model.safetensors").write_text(f"weights at {step}")
(out / "config.json").write_text("{}")
"""


def environment(folder: Path) -> Path:
    """Write bin/python and bin/trl, and give the folder. At the step KILLED_AT the trainer dies of SIGKILL: its own, or
    with KILLER, a named pipe, that of the pipe's reader."""
    libraries, programs = folder / "lib", folder / "bin"
    libraries.mkdir(parents=True)
    programs.mkdir()
    (libraries / "transformers.py").write_text(_TRANSFORMERS)
    (libraries / "trl.py").write_text(_TRL)
    for name, program in (("python", ""), ("trl", f" {libraries / 'trl.py'}")):
        script = programs / name
        script.write_text(f'#!/bin/sh\nPYTHONPATH={libraries} exec {sys.executable}{program} "$@"\n')
        script.chmod(0o755)
    return folder
