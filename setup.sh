#!/usr/bin/env bash
# Makes .venv beside this file and installs everything into it. Written for bash 3.2 (macOS).
# Each stage leaves a stamp in .venv/.setup when it is through: a second run skips what is done, and
# a run that was stopped at any point goes on from there.
set -euo pipefail

usage='usage: ./setup.sh [--python PYTHON] [--dev | --no-dev] [--official]

  --python PYTHON  Python 3.10 to 3.13 for .venv (default: $PYTHON, then the first that runs of
                   python3.12, 3.11, 3.10, 3.13 and python3)
  --dev, --no-dev  with (default) or without what tests and checks need
  --official       also lay the official OpenMMLab wheels into .venv/official (make test-official)

environment:
  TORCH_INDEX_URL      index for torch and torchvision, such as
                       https://download.pytorch.org/whl/cpu or .../whl/cu126
  EQUIKPT_MIN_FREE_GB  free disk space to insist on (default 8; 4 for a CPU build of torch)
  and pip'\''s own: PIP_INDEX_URL, PIP_FIND_LINKS, https_proxy, ...'
# stage|title|files whose change repeats it
table='venv|virtual environment|
torch|PyTorch|requirements/torch.txt
runtime|libraries|requirements/torch.txt requirements/runtime.txt
mmstack|OpenMMLab (mmengine, mmcv, mmpose)|requirements/mmstack.txt
xtcocotools|xtcocotools, from source|requirements/xtcocotools.txt requirements/build.txt
dev|tests and checks|requirements/dev.txt
equikpt|equikpt, editable|setup.py pyproject.toml
doctor|check of the whole|requirements/*.txt
official|official OpenMMLab wheels in .venv/official|requirements/official.txt'
root=$(cd "$(dirname "$0")" && pwd -P)
venv=$root/.venv py=$root/.venv/bin/python state=$root/.venv/.setup log=$root/.venv/setup.log
child='' has_lock='' have='' base='' base_version='' # have: "3.11", or "3.11 without mmpose …"

say() { printf '%s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2 && exit 2; }

# --- interruption: one setup.sh at a time, and no pip that outlives it ---
on_exit() {
  [ -z "$child" ] || kill_group "$child"
  [ -z "$has_lock" ] || rm -rf "$state/tmp" "$state/child" "$state/lock"
}
stop() { printf 'stopped: run ./setup.sh again, it goes on from here\n' >&2 && exit "$1"; }
kill_group() {
  kill -TERM -- "-$1" 2>/dev/null || true
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    kill -0 -- "-$1" 2>/dev/null || return 0
    sleep 0.2
  done
  kill -KILL -- "-$1" 2>/dev/null || true
}
is_alive() { # process $1, and its command line holds $2 (without ps: it is alive)
  [ -n "$1" ] && kill -0 "$1" 2>/dev/null || return 1
  command -v ps >/dev/null 2>&1 || return 0
  case $(ps -ww -p "$1" -o command= 2>/dev/null) in *"$2"*) ;; *) return 1 ;; esac
}
take_lock() {
  local owner waited=0
  mkdir -p "$state" 2>/dev/null || die "cannot write to $venv: make $root writable for you"
  until mkdir "$state/lock" 2>/dev/null; do
    sleep 1 # also the time that a new owner has to write its number
    owner=$(cat "$state/lock/pid" 2>/dev/null || true)
    is_alive "$owner" setup.sh || { rm -rf "$state/lock" && continue; } # its owner was killed
    [ $((waited % 10)) != 0 ] || say "waiting for another setup.sh (process $owner)"
    waited=$((waited + 1))
  done
  has_lock=yes
  printf '%s\n' "$$" >"$state/lock/pid"
  owner=$(cat "$state/child" 2>/dev/null || true)
  ! is_alive "$owner" "$root" || kill_group "$owner" # the pip of a killed setup.sh
  rm -rf "$state/tmp" "$state/child"
  mkdir -p "$state/tmp"
}

# --- commands that take long, and one sentence on why they failed ---
attend() { # WHAT COMMAND...: output into the log, and a line every 10 seconds
  local what=$1 code=0 started=$SECONDS next=10 first_line
  shift
  printf '\n$ %s\n' "$*" >>"$log"
  first_line=$(($(wc -l <"$log") + 0)) # macOS pads the number
  set -m # a process group of its own, so that stopping it stops its children too
  TMPDIR=$state/tmp "$@" >>"$log" 2>&1 </dev/null &
  child=$!
  set +m
  printf '%s\n' "$child" >"$state/child"
  while kill -0 "$child" 2>/dev/null; do
    sleep 0.1
    [ $((SECONDS - started)) -ge $next ] || continue
    say "      $((SECONDS - started)) s: $(tail -n 1 "$log" | cut -c 1-90)"
    next=$((next + 10))
  done
  wait "$child" || code=$?
  child=
  rm -f "$state/child"
  [ "$code" = 0 ] || explain "$what" "$(tail -n "+$first_line" "$log")"
}
pip_install() { # WHAT ARGUMENTS...
  local what=$1
  shift
  attend "$what" "$py" -m pip install "$@"
}
explain() { # WHAT OUTPUT
  local package
  has() { printf '%s\n' "$output" | grep -qE "$1"; }
  local output=$2 network='Connection(Error|Refused| refused| broken| reset)|Connect(Timeout|ion timed out)|Read(Timeout| timed out)|name resolution|Name or service not known|nodename nor servname|Network is unreachable|ProxyError|Tunnel connection failed|SSLError'
  package=$(say "$2" | sed -n -e 's/.*No matching distribution found for \([^ ]*\).*/\1/p' \
    -e 's/.*requirement \([^ ]*\) (from versions.*/\1/p' | head -n 1)
  package=${package:-$(say "$2" | sed -n 's/^ *Collecting \([^ ]*\).*/\1/p' | tail -n 1)}
  package=${package:-$1}
  ! has 'No space left on device|Disk quota exceeded' ||
    die "the disk of $venv filled up while installing $package: free some space and run ./setup.sh again"
  ! has "$network" || die "pip could not reach its package index for $package: check the network, or set https_proxy, PIP_INDEX_URL or PIP_FIND_LINKS, and run ./setup.sh again (log: $log)"
  say "$2" | tail -n 15 >&2
  ! has 'No matching distribution found' || die "the package index has no $package for this Python ($("$py" --version 2>&1)): set PIP_INDEX_URL to an index that has it, or PYTHON to another Python"
  die "installing $package failed; the lines above are the end of $log"
}

# --- the Python, and what has to be there before anything is downloaded ---
is_supported() { case $1 in 3.10 | 3.11 | 3.12 | 3.13) ;; *) return 1 ;; esac; }
choose_python() { # sets $base, a Python outside any virtual environment, and $base_version
  set -- python3.12 python3.11 python3.10 python3.13 python3
  [ -z "${PYTHON:-}" ] || set -- "$PYTHON"
  for base; do # a pyenv shim may exist and not run
    base_version=$("$base" -c 'import sys; sys.stdout.write("%d.%d" % sys.version_info[:2])' 2>/dev/null || true)
    ! is_supported "$base_version" || break
  done
  if ! is_supported "$base_version"; then
    [ -n "${PYTHON:-}" ] || die "no Python 3.10 to 3.13 found (tried python3.12, 3.11, 3.10, 3.13 and python3): install one, or name it, as in PYTHON=/path/to/python3 ./setup.sh"
    [ -n "$base_version" ] || die "PYTHON=$PYTHON does not run: name a Python 3.10 to 3.13, as in PYTHON=python3.12 ./setup.sh"
    die "PYTHON=$PYTHON is Python $base_version, expected 3.10 to 3.13 (torch needs 3.10, and the numpy that xtcocotools is compiled against ends with 3.13)"
  fi
  base=$("$base" -c 'import sys; print(getattr(sys, "_base_executable", None) or sys.executable)')
}
inspect_venv() { # sets $have, to nothing if the Python of .venv does not run
  have=$("$py" -I - 2>/dev/null <<'CODE' || true
import sys
from importlib.util import find_spec

needed = "pip setuptools torch torchvision cv2 albumentations mmengine mmcv mmpose xtcocotools equikpt"
missing = [name for name in needed.split() if find_spec(name) is None]
print("%d.%d" % sys.version_info[:2], *(["without", *missing] if missing else []))
CODE
  )
}
# Packages that an interruption left half written lose their metadata, so that pip installs them
# again instead of taking them for whole. Prints their names.
drop_half_installed() {
  "$py" -I - <<'CODE'
import csv, pathlib, shutil, sysconfig

site = pathlib.Path(sysconfig.get_path("purelib"))
for info in site.glob("*.dist-info"):
    try:
        rows = list(csv.reader((info / "RECORD").read_text(encoding="utf-8").splitlines()))
        sizes = [((site / path).stat().st_size, size) for path, _, size in rows if path[-4:] != ".pyc"]
        whole = bool(rows) and all(int(size or found) == found for found, size in sizes)
    except (OSError, ValueError):
        whole = False
    if not whole:
        print(info.name.split("-")[0])
        shutil.rmtree(info)
for leftover in site.glob("~*"):
    shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
CODE
}
check_disk() {
  local needed=8 free_kb
  [ "$(uname -s)" != Darwin ] || needed=4
  case ${TORCH_INDEX_URL:-} in */cpu | */cpu/) needed=4 ;; esac
  needed=${EQUIKPT_MIN_FREE_GB:-$needed}
  case $needed in '' | *[!0-9]*) die "EQUIKPT_MIN_FREE_GB=$needed is not a whole number of gigabytes" ;; esac
  free_kb=$(df -Pk "$root" | awk 'NR == 2 { print $4 }')
  [ "$free_kb" -ge $((needed * 1024 * 1024)) ] || die "$((free_kb / 1024 / 1024)) GB are free for $venv, about $needed are needed: free some space, choose the smaller CPU build of torch (TORCH_INDEX_URL), or lower EQUIKPT_MIN_FREE_GB"
}
check_compiler() { # PYTHON; CC may hold options, so it is not quoted
  local own include candidate found=
  own=$("$1" -c 'import sysconfig; print((sysconfig.get_config_var("CC") or "cc").split()[0])')
  include=$("$1" -c 'import sysconfig; print(sysconfig.get_path("include"))')
  for candidate in "${CC:-}" "$own" cc gcc clang; do
    if [ -n "$candidate" ] && $candidate --version >/dev/null 2>&1; then found=$candidate && break; fi
  done
  [ -n "$found" ] || die "no C compiler found, and xtcocotools is compiled from source: install one (Debian, Ubuntu: apt install build-essential; macOS: xcode-select --install)"
  [ -f "$include/Python.h" ] || die "Python.h is missing from $include, and xtcocotools is compiled from source: install the headers of this Python (Debian, Ubuntu: apt install python3-dev)"
  printf '#include <Python.h>\n' | $found -E -I "$include" - >/dev/null 2>&1 ||
    die "$found cannot compile against Python.h: install the C library's headers (Debian, Ubuntu: apt install build-essential)"
  [ "$found" = "$own" ] || export CC=$found
}

# --- stages ---
row() { printf '%s\n' "$table" | sed -n "s/^$1|//p"; }
sum_of() { # STAGE; the files' names are split and globbed
  {
    printf '%s %s\n' "$1" "${have%% *}"
    # shellcheck disable=SC2046
    cat /dev/null $(row "$1" | sed 's/.*|//')
    [ "$1" != equikpt ] || printf '%s\n' "$root"
  } | cksum
}
is_done() {
  [ "$(cat "$state/$1.done" 2>/dev/null)" = "$(sum_of "$1")" ] || return 1
  [ "$1" != torch ] || [ -z "${TORCH_INDEX_URL:-}" ] ||
    [ "$(cat "$state/torch.index" 2>/dev/null)" = "$TORCH_INDEX_URL" ]
}
all_done() {
  case $have in '' | *without*) return 1 ;; esac
  [ ! -e "$state/started" ] || return 1
  for stage in $stages; do is_done "$stage" || return 1; done
}
do_venv() {
  if [ -z "$have" ]; then # $base was chosen before the old environment went, and is outside of it
    rm -f "$state"/*.done "$state"/*.index
    find "$venv" -mindepth 1 -maxdepth 1 ! -name .setup -exec rm -rf {} +
    : >"$log"
    attend "the virtual environment" "$base" -m venv "$venv"
    inspect_venv
  fi
  pip_install pip --upgrade "pip>=24" "setuptools>=77" wheel
}
do_torch() {
  set -- -r requirements/torch.txt
  # Reinstalled: another build of the same version would count as already there.
  [ -z "${TORCH_INDEX_URL:-}" ] || set -- --force-reinstall --index-url "$TORCH_INDEX_URL" "$@"
  pip_install torch "$@"
  [ -z "${TORCH_INDEX_URL:-}" ] || printf '%s\n' "$TORCH_INDEX_URL" >"$state/torch.index"
}
do_runtime() { pip_install "the libraries" -r requirements/torch.txt -r requirements/runtime.txt; }
do_mmstack() { pip_install OpenMMLab --no-deps -r requirements/mmstack.txt; }
do_dev() { pip_install "the test tools" -c requirements/runtime.txt -r requirements/dev.txt; }
do_equikpt() { pip_install equikpt --no-deps --no-build-isolation -e .; }
xtcocotools_works() {
  "$py" -I - >>"$log" 2>&1 <<'CODE'
import numpy as np
from xtcocotools import mask

square = np.zeros((4, 6), np.uint8, order="F")
square[1:3, 2:5] = 1
encoded = mask.encode(square)
raise SystemExit(not (mask.area(encoded) == 6 and (mask.decode(encoded) == square).all()))
CODE
}
do_xtcocotools() {
  local tools=$state/tmp/tools wheels=$state/tmp/wheels wanted
  wanted=$(sed -n 's/^xtcocotools==//p' requirements/xtcocotools.txt)
  [ ! -e "$(echo "$venv"/lib/python*/site-packages/"xtcocotools-$wanted.dist-info")" ] ||
    ! xtcocotools_works || return 0
  pip_install "the build tools of xtcocotools" --target "$tools" -r requirements/build.txt
  # No cache: it may hold a wheel that was compiled against another numpy.
  attend xtcocotools env "PYTHONPATH=$tools" "$py" -m pip wheel --no-cache-dir --no-build-isolation \
    --no-deps --no-binary :all: -w "$wheels" -r requirements/xtcocotools.txt
  pip_install xtcocotools --no-deps --force-reinstall "$wheels"/*.whl
  xtcocotools_works || die "xtcocotools was compiled and its mask functions fail: the end of $log says why"
}
do_doctor() {
  local report=$state/tmp/doctor
  [ -f tools/doctor.py ] || return 0
  # shellcheck disable=SC2016 # the inner shell expands
  attend "the doctor" sh -c 'echo "trying a few training steps"; "$1" tools/doctor.py >"$2" 2>&1; echo $? >"$2.code"' \
    sh "$py" "$report"
  cat "$report"
  [ "$(cat "$report.code")" = 0 ] || die "training would not work in $venv yet: the doctor says above what to do"
}
do_official() { # under another name first: a half-filled folder is never taken for the overlay
  rm -rf "$venv/official.part"
  pip_install "the official wheels" --no-deps --target "$venv/official.part" -r requirements/official.txt
  rm -rf "$venv/official"
  mv "$venv/official.part" "$venv/official"
}
run_stages() {
  local title number=0 total
  total=$(($(say "$stages" | wc -w) + 0))
  for stage in $stages; do
    number=$((number + 1))
    title="[$number/$total] $(row "$stage" | cut -d '|' -f 1)"
    if is_done "$stage"; then say "$title: done before" && continue; fi
    say "$title"
    : >"$state/started"
    "do_$stage"
    sum_of "$stage" >"$state/$stage.done.part"
    mv "$state/$stage.done.part" "$state/$stage.done"
    rm -f "$state/started"
  done
}

# --- main ---
judge_venv() { # clears $have if .venv has to be made anew
  local why=
  if [ -z "$have" ]; then
    [ ! -e "$venv/bin" ] || why="the Python in .venv does not run"
  elif ! is_supported "${have%% *}"; then
    why=".venv has Python ${have%% *}, expected 3.10 to 3.13"
  elif [ -n "${PYTHON:-}" ] && [ "${have%% *}" != "$base_version" ]; then
    why=".venv has Python ${have%% *}, PYTHON=$PYTHON is $base_version"
  elif ! "$py" -m pip --version >/dev/null 2>&1; then
    why="pip does not run in .venv"
  fi
  if [ -n "$why" ]; then say "$why: making it anew" && have=; fi
}
repair() { # make pip install again what is not whole, although its stage was through
  local gone='' dropped
  case $have in *without*) [ ! -e "$state/equikpt.done" ] || gone=${have#*without } ;; esac
  [ -n "$gone" ] || [ -e "$state/started" ] || return 0
  dropped=$(drop_half_installed | tr '\n' ' ')
  [ -n "$gone$dropped" ] || return 0
  say "not whole, installing again: $gone $dropped"
  rm -f "$state"/*.done
}
main() {
  local dev=dev official='' stages stage
  while [ $# -gt 0 ]; do
    case $1 in
    --python) [ $# -ge 2 ] || die "--python needs a Python, as in --python python3.12" && PYTHON=$2 && shift ;;
    --python=*) PYTHON=${1#*=} ;;
    --dev) dev=dev ;;
    --no-dev) dev= ;;
    --official) official=official ;;
    -h | --help) say "$usage" && exit 0 ;;
    *) die "unknown option $1: ./setup.sh --help lists the options" ;;
    esac
    shift
  done
  stages="venv torch runtime mmstack xtcocotools $dev equikpt doctor $official"
  cd "$root"
  # What would make pip install elsewhere, or take other people's packages for installed.
  unset PYTHONPATH PYTHONHOME PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV __PYVENV_LAUNCHER__
  export PIP_USER=0 PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_PROGRESS_BAR=off
  export PYTHONUNBUFFERED=1
  [ -z "${PYTHON:-}" ] || choose_python
  inspect_venv
  if ! { all_done && { [ -z "${PYTHON:-}" ] || [ "${have%% *}" = "$base_version" ]; }; }; then
    trap on_exit EXIT
    trap 'stop 130' INT
    trap 'stop 143' TERM HUP
    take_lock
    inspect_venv # again: another setup.sh may have been at work until now
    judge_venv
    if [ -z "$have" ]; then
      choose_python
      "$base" -c 'import venv, ensurepip' >/dev/null 2>&1 ||
        die "$base (Python $base_version) lacks the module venv or ensurepip: install it (Debian, Ubuntu: apt install python$base_version-venv)"
      check_disk
      check_compiler "$base"
    else
      is_done torch || check_disk
      is_done xtcocotools || check_compiler "$py"
      repair
    fi
    run_stages
    inspect_venv
    case $have in
    '' | *without*) die "after all stages .venv still is ${have:-without a Python that runs}: remove $venv and run ./setup.sh again" ;;
    esac
  fi
  say "setup: .venv is complete (Python ${have%% *})"
}
main "$@"
