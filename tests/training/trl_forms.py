"""Run by loaders.py in an environment with TRL: `python trl_forms.py FOLDER FORM`: one step on a tiny random model."""

# mypy: ignore-errors

import json
import sys
from pathlib import Path

from datasets import load_dataset
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

CHAT = "{% for m in messages %}<s>{{ m['role'] }} {{ m['content'] }}</s>{% endfor %}"
ASSISTANT = "{% if add_generation_prompt %}<s>assistant {% endif %}"


def tokenizer(texts):
    words = Tokenizer(models.BPE(unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<unk>", "<s>", "</s>", "<pad>"]
    words.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=600, special_tokens=special, initial_alphabet=alphabet)
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        chat_template=CHAT + ASSISTANT,
    )


def main(folder, form):
    import trl

    dataset = load_dataset(folder)["train"]
    words = tokenizer([json.dumps(row) for row in dataset])
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        pad_token_id=words.pad_token_id,
    )
    common = {
        "output_dir": str(Path(folder).parent / f"{form}-run"),
        "max_steps": 1,
        "per_device_train_batch_size": 2,
        "report_to": [],
        "use_cpu": True,
        "save_strategy": "no",
        "bf16": False,
    }
    match form:
        case "dpo":
            from trl import DPOConfig as Config
            from trl import DPOTrainer as Trainer
        case "kto":
            from trl import KTOConfig as Config
            from trl import KTOTrainer as Trainer
        case _:
            from trl import SFTConfig as Config
            from trl import SFTTrainer as Trainer
    LlamaForCausalLM(config).save_pretrained(f"{folder}-model")
    words.save_pretrained(f"{folder}-model")
    model = LlamaForCausalLM.from_pretrained(f"{folder}-model")  # a reference model is loaded from the same place
    trainer = Trainer(model=model, args=Config(**common), train_dataset=dataset, processing_class=words)
    loss = trainer.train().training_loss
    sys.stdout.write("\n" + json.dumps({"trl": trl.__version__, "rows": len(dataset), "loss": round(loss, 3)}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
