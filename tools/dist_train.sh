#!/usr/bin/env bash
# Train on several processes: tools/dist_train.sh CONFIG PROCESSES [train.py options]
# One process a GPU, or any number on a machine without GPUs (gloo). On several machines set, on
# each of them: NNODES, NODE_RANK, MASTER_ADDR and PORT.
exec "$(dirname "$0")/dist_run.sh" train.py "$@"
