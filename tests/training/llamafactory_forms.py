"""Run by loaders.py in an environment with LLaMA-Factory, `python llamafactory_forms.py FOLDER FORM`: its own loader
and converter on the folder's dataset_info.json, split by split."""

# mypy: ignore-errors

import json
import sys
from pathlib import Path
from types import SimpleNamespace

from llamafactory.data.loader import _load_single_dataset
from llamafactory.data.parser import get_dataset_list
from llamafactory.hparams import DataArguments, ModelArguments


def main(folder, form):
    shown = {}
    for split in json.loads(Path(folder, "dataset_info.json").read_text()):
        (attributes,) = get_dataset_list([split], folder)
        data = DataArguments(dataset=split, dataset_dir=folder, template="default")
        model = ModelArguments(model_name_or_path="none")
        training = SimpleNamespace(local_process_index=0, should_log=False)
        loaded = _load_single_dataset(attributes, model, data, training)
        rows = list(loaded)
        assert all(row["_prompt"] and row["_response"] for row in rows), "a row was skipped"
        answers = {len(row["_response"]) for row in rows}
        assert answers == ({2} if form in ("dpo", "kto") else {1}), answers
        shown[split] = len(rows)
    sys.stdout.write("\n" + json.dumps({"rows": shown}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
