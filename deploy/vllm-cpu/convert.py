"""Convert GGUF weights into a folder that vLLM can serve: `python convert.py MODEL.gguf FOLDER`."""

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

gguf, folder = Path(sys.argv[1]), Path(sys.argv[2])
tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
# The weights were dequantised on load; transformers refuses to save a model still marked as quantised.
model.hf_quantizer = None
model.config.__dict__.pop("quantization_config", None)
tokenizer.save_pretrained(folder)
model.save_pretrained(folder)  # last: config.json marks the folder as complete
