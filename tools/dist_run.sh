#!/usr/bin/env bash
# What dist_train.sh and dist_test.sh share: torchrun around one of the tools.
set -euo pipefail
tool=$1
shift
names=(CONFIG)
# a test's second word is its checkpoint, if it is not the number of processes
case $tool:${2:-} in test.py:*[!0-9]*) names+=(CHECKPOINT) ;; esac
files=()
for name in "${names[@]}"; do
  [ $# -gt 0 ] || { echo "error: expected $name, got nothing; see the first lines of $0" >&2; exit 2; }
  files+=("$1")
  shift
done
processes=${1:-}
case $processes in
  '' | *[!0-9]* | 0)
    echo "error: expected the number of processes after ${names[*]}, got '${processes}'; give the number of GPUs" >&2
    exit 2
    ;;
esac
shift
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python}
if [ -z "${PYTHON:-}" ] && [ -x "$here/../.venv/bin/python" ]; then python=$here/../.venv/bin/python; fi
# A random free port keeps two runs on one machine apart.
if [ "${NNODES:-1}" = 1 ]; then
  rendezvous=(--standalone)
else
  rendezvous=(--node-rank "${NODE_RANK:-0}" --master-addr "${MASTER_ADDR:-127.0.0.1}" --master-port "${PORT:-29500}")
fi
exec "$python" -m torch.distributed.run --nnodes "${NNODES:-1}" --nproc-per-node "$processes" \
  "${rendezvous[@]}" "$here/$tool" "${files[@]}" --launcher pytorch "$@"
