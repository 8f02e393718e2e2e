#!/usr/bin/env bash
# Test on several processes: tools/dist_test.sh CONFIG [CHECKPOINT] PROCESSES [test.py options]
# Several machines: see dist_train.sh.
exec "$(dirname "$0")/dist_run.sh" test.py "$@"
