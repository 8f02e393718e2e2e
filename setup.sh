#!/usr/bin/env bash
# Makes .venv beside this file and installs everything into it. Written for bash 3.2 (macOS).
#
# Each stage leaves a stamp in .venv/.setup when it is through, so a second run skips what is done,
# and a run that was stopped at any point goes on from there.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: ./setup.sh [--python PYTHON] [--dev | --no-dev] [--official]

  --python PYTHON  Python 3.10 to 3.13 for .venv (default: $PYTHON, then the first that runs of
                   python3.12, 3.11, 3.10, 3.13 and python3)
  --dev, --no-dev  with (default) or without what tests and checks need
  --official       also lay the official OpenMMLab wheels into .venv/official (make test-official)

environment:
  TORCH_INDEX_URL      index for torch and torchvision, such as
                       https://download.pytorch.org/whl/cpu or .../whl/cu126
  EQUIKPT_MIN_FREE_GB  free disk space to insist on (default 8; 4 for a CPU build of torch)
  and pip's own: PIP_INDEX_URL, PIP_FIND_LINKS, https_proxy, ...
TEXT
}

root=$(cd "$(dirname "$0")" && pwd -P)
venv=$root/.venv
py=$venv/bin/python
state=$venv/.setup
log=$venv/setup.log
child=
has_lock=

say() { printf '%s\n' "$*"; }

die() {
  printf 'error: %s\n' "$*" >&2
  exit 2
}

# --- interruption: one setup.sh at a time, and no pip that outlives it -----------------------------

on_exit() {
  if [ -n "$child" ]; then kill_group "$child"; fi
  if [ -n "$has_lock" ]; then rm -rf "$state/tmp" "$state/child" "$state/lock"; fi
}

stop() {
  printf 'stopped: run ./setup.sh again, it goes on from here\n' >&2
  exit "$1"
}

kill_group() {
  kill -TERM -- "-$1" 2>/dev/null || true
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    kill -0 -- "-$1" 2>/dev/null || return 0
    sleep 0.2
  done
  kill -KILL -- "-$1" 2>/dev/null || true
}

# Whether process $1 is alive and its command line holds $2 (without ps: whether it is alive).
is_alive() {
  [ -n "$1" ] && kill -0 "$1" 2>/dev/null || return 1
  command -v ps >/dev/null 2>&1 || return 0
  case $(ps -ww -p "$1" -o command= 2>/dev/null) in *"$2"*) return 0 ;; esac
  return 1
}

take_lock() {
  local owner waited=0
  mkdir -p "$state" 2>/dev/null || die "cannot write to $venv: make $root writable for you"
  until mkdir "$state/lock" 2>/dev/null; do
    sleep 1 # also the time that a new owner has to write its number
    owner=$(cat "$state/lock/pid" 2>/dev/null || true)
    if is_alive "$owner" setup.sh; then
      if [ $((waited % 10)) = 0 ]; then say "waiting for another setup.sh (process $owner)"; fi
      waited=$((waited + 1))
    else
      rm -rf "$state/lock" # its owner was killed
    fi
  done
  has_lock=yes
  printf '%s\n' "$$" >"$state/lock/pid"
  owner=$(cat "$state/child" 2>/dev/null || true)
  if is_alive "$owner" "$root"; then kill_group "$owner"; fi # the pip of a killed setup.sh
  rm -rf "$state/tmp" "$state/child"
  mkdir -p "$state/tmp"
}

# --- running pip ----------------------------------------------------------------------------------

# attend WHAT COMMAND...: run it with its output in the log and a line every 10 seconds.
attend() {
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
    if [ $((SECONDS - started)) -ge $next ]; then
      say "      $((SECONDS - started)) s: $(tail -n 1 "$log" | cut -c 1-90)"
      next=$((next + 10))
    fi
  done
  wait "$child" || code=$?
  child=
  rm -f "$state/child"
  [ "$code" = 0 ] || explain "$what" "$first_line"
}

pip_install() {
  local what=$1
  shift
  attend "$what" "$py" -m pip install "$@"
}

# explain WHAT FIRST_LINE: one sentence on why the command that began there in the log failed.
explain() {
  local part package
  part=$(tail -n "+$2" "$log")
  package=$(printf '%s\n' "$part" | sed -n \
    -e 's/.*No matching distribution found for \([^ ]*\).*/\1/p' \
    -e 's/.*requirement \([^ ]*\) (from versions.*/\1/p' | head -n 1)
  package=${package:-$(printf '%s\n' "$part" | sed -n 's/^ *Collecting \([^ ]*\).*/\1/p' | tail -n 1)}
  package=${package:-$1}
  if printf '%s\n' "$part" | grep -qE 'No space left on device|Disk quota exceeded'; then
    die "the disk of $venv filled up while installing $package: free some space and run ./setup.sh again"
  fi
  if printf '%s\n' "$part" | grep -qE 'Connection(Error|Refused| refused| broken| reset)|Connect(Timeout|ion timed out)|Read(Timeout| timed out)|name resolution|Name or service not known|nodename nor servname|Network is unreachable|ProxyError|Tunnel connection failed|SSLError'; then
    die "pip could not reach its package index for $package: check the network, or set https_proxy, PIP_INDEX_URL or PIP_FIND_LINKS, and run ./setup.sh again (log: $log)"
  fi
  printf '%s\n' "$part" | tail -n 15 >&2
  if printf '%s\n' "$part" | grep -q 'No matching distribution found'; then
    die "the package index has no $package for this Python ($("$py" --version 2>&1)): set PIP_INDEX_URL to an index that has it, or PYTHON to another Python"
  fi
  die "installing $package failed; the lines above are the end of $log"
}

# --- the Python -----------------------------------------------------------------------------------

# "3.11" if the command runs as a Python, nothing otherwise (a pyenv shim may exist and not run).
version_of() { "$1" -c 'import sys; sys.stdout.write("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }

is_supported() {
  case $1 in 3.10 | 3.11 | 3.12 | 3.13) return 0 ;; esac
  return 1
}

# Sets $base (a Python outside any virtual environment) and $base_version.
choose_python() {
  local candidate
  base=
  if [ -n "${PYTHON:-}" ]; then
    base_version=$(version_of "$PYTHON")
    [ -n "$base_version" ] ||
      die "PYTHON=$PYTHON does not run: name a Python 3.10 to 3.13, as in PYTHON=python3.12 ./setup.sh"
    is_supported "$base_version" ||
      die "PYTHON=$PYTHON is Python $base_version, expected 3.10 to 3.13 (torch needs 3.10, and the numpy that xtcocotools is compiled against ends with 3.13)"
    base=$PYTHON
  else
    for candidate in python3.12 python3.11 python3.10 python3.13 python3; do
      base_version=$(version_of "$candidate")
      if is_supported "$base_version"; then
        base=$candidate
        break
      fi
    done
    [ -n "$base" ] ||
      die "no Python 3.10 to 3.13 found (tried python3.12, 3.11, 3.10, 3.13 and python3): install one, or name it, as in PYTHON=/path/to/python3 ./setup.sh"
  fi
  base=$("$base" -c 'import sys; print(getattr(sys, "_base_executable", None) or sys.executable)')
}

# Prints what .venv can do: "3.11", or "3.11 without mmpose …".
describe_venv() {
  "$py" -I - <<'CODE'
import sys
from importlib.util import find_spec

needed = "pip setuptools torch torchvision cv2 albumentations mmengine mmcv mmpose xtcocotools equikpt"
missing = [name for name in needed.split() if find_spec(name) is None]
print("%d.%d" % sys.version_info[:2], *(["without", *missing] if missing else []))
CODE
}

# Sets $have to that, or to nothing if the Python of .venv does not run.
inspect_venv() { have=$(describe_venv 2>/dev/null || true); }

# Packages that an interruption left half written lose their metadata, so that pip installs them
# again instead of taking them for whole. Prints their names.
drop_half_installed() {
  "$py" -I - <<'CODE'
import csv, pathlib, shutil, sysconfig

site = pathlib.Path(sysconfig.get_path("purelib"))


def is_whole(info):
    try:
        rows = list(csv.reader((info / "RECORD").read_text(encoding="utf-8").splitlines()))
        return bool(rows) and all(
            (site / path).stat().st_size == int(size or (site / path).stat().st_size)
            for path, _, size in rows
            if not path.endswith(".pyc")
        )
    except (OSError, ValueError):
        return False


for info in site.glob("*.dist-info"):
    if not is_whole(info):
        print(info.name.split("-")[0])
        shutil.rmtree(info)
for leftover in site.glob("~*"):
    shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
CODE
}

# --- what has to be there before anything is downloaded -------------------------------------------

check_disk() {
  local needed=8 free_kb
  if [ "$(uname -s)" = Darwin ]; then needed=4; fi
  case ${TORCH_INDEX_URL:-} in */cpu | */cpu/) needed=4 ;; esac
  needed=${EQUIKPT_MIN_FREE_GB:-$needed}
  case $needed in '' | *[!0-9]*) die "EQUIKPT_MIN_FREE_GB=$needed is not a whole number of gigabytes" ;; esac
  free_kb=$(df -Pk "$root" | awk 'NR == 2 { print $4 }')
  if [ "$free_kb" -lt $((needed * 1024 * 1024)) ]; then
    die "$((free_kb / 1024 / 1024)) GB are free for $venv, about $needed are needed: free some space, choose the smaller CPU build of torch (TORCH_INDEX_URL), or lower EQUIKPT_MIN_FREE_GB"
  fi
}

check_compiler() {
  local python=$1 own include candidate found=
  own=$("$python" -c 'import sysconfig; print((sysconfig.get_config_var("CC") or "cc").split()[0])')
  include=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
  for candidate in "${CC:-}" "$own" cc gcc clang; do
    # unquoted: CC may hold options
    if [ -n "$candidate" ] && $candidate --version >/dev/null 2>&1; then
      found=$candidate
      break
    fi
  done
  [ -n "$found" ] ||
    die "no C compiler found, and xtcocotools is compiled from source: install one (Debian, Ubuntu: apt install build-essential; macOS: xcode-select --install)"
  [ -f "$include/Python.h" ] ||
    die "Python.h is missing from $include, and xtcocotools is compiled from source: install the headers of this Python (Debian, Ubuntu: apt install python3-dev)"
  printf '#include <Python.h>\n' | $found -E -I "$include" - >/dev/null 2>&1 ||
    die "$found cannot compile against Python.h: install the C library's headers (Debian, Ubuntu: apt install build-essential)"
  if [ "$found" != "$own" ]; then export CC=$found; fi
}

# --- stages ---------------------------------------------------------------------------------------

# What a stage depends on; its stamp holds the sum.
inputs_of() {
  case $1 in
  venv) ;;
  torch) cat requirements/torch.txt ;;
  runtime) cat requirements/torch.txt requirements/runtime.txt ;;
  mmstack) cat requirements/mmstack.txt ;;
  xtcocotools) cat requirements/xtcocotools.txt requirements/build.txt ;;
  dev) cat requirements/dev.txt ;;
  equikpt) cat setup.py pyproject.toml && printf '%s\n' "$root" ;;
  doctor) cat requirements/*.txt ;;
  official) cat requirements/official.txt ;;
  esac
}

sum_of() { { printf '%s %s\n' "$1" "$2" && inputs_of "$1"; } | cksum; } # stage, Python version

is_done() {
  [ "$(cat "$state/$1.done" 2>/dev/null)" = "$(sum_of "$1" "${have%% *}")" ] || return 1
  if [ "$1" = torch ] && [ -n "${TORCH_INDEX_URL:-}" ]; then
    [ "$(cat "$state/torch.index" 2>/dev/null)" = "$TORCH_INDEX_URL" ] || return 1
  fi
}

all_done() {
  local stage
  case $have in '' | *without*) return 1 ;; esac
  [ ! -e "$state/started" ] || return 1
  for stage in $stages; do is_done "$stage" || return 1; done
}

stamp() {
  sum_of "$1" "${have%% *}" >"$state/$1.done.part"
  mv "$state/$1.done.part" "$state/$1.done"
}

title_of() {
  case $1 in
  venv) say "virtual environment" ;;
  torch) say "PyTorch" ;;
  runtime) say "libraries" ;;
  mmstack) say "OpenMMLab (mmengine, mmcv, mmpose)" ;;
  xtcocotools) say "xtcocotools, from source" ;;
  dev) say "tests and checks" ;;
  equikpt) say "equikpt, editable" ;;
  doctor) say "check of the whole" ;;
  official) say "official OpenMMLab wheels in .venv/official" ;;
  esac
}

do_venv() {
  # $base was chosen before the old environment went, and is outside of it
  if [ -z "$have" ]; then
    rm -f "$state"/*.done "$state"/*.index
    find "$venv" -mindepth 1 -maxdepth 1 ! -name .setup -exec rm -rf {} +
    : >"$log"
    attend "the virtual environment" "$base" -m venv "$venv"
    inspect_venv
  fi
  pip_install pip --upgrade "pip>=24" "setuptools>=77" wheel
}

do_torch() {
  if [ -z "${TORCH_INDEX_URL:-}" ]; then
    pip_install torch -r requirements/torch.txt
    return
  fi
  # Reinstalled: another build of the same version would count as already there.
  pip_install torch --force-reinstall --index-url "$TORCH_INDEX_URL" -r requirements/torch.txt
  printf '%s\n' "$TORCH_INDEX_URL" >"$state/torch.index"
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
  if [ -e "$(echo "$venv"/lib/python*/site-packages/"xtcocotools-$wanted.dist-info")" ] && xtcocotools_works; then
    return
  fi
  pip_install "the build tools of xtcocotools" --target "$tools" -r requirements/build.txt
  # No cache: it may hold a wheel that was compiled against another numpy.
  attend xtcocotools env "PYTHONPATH=$tools" "$py" -m pip wheel --no-cache-dir --no-build-isolation \
    --no-deps --no-binary :all: -w "$wheels" -r requirements/xtcocotools.txt
  pip_install xtcocotools --no-deps --force-reinstall "$wheels"/*.whl
  xtcocotools_works ||
    die "xtcocotools was compiled and its mask functions fail: the end of $log says why"
}

do_doctor() {
  local report=$state/tmp/doctor
  [ -f tools/doctor.py ] || return 0
  # shellcheck disable=SC2016 # the inner shell expands
  attend "the doctor" sh -c 'echo "trying a few training steps"; "$1" tools/doctor.py >"$2" 2>&1; echo $? >"$2.code"' \
    sh "$py" "$report"
  cat "$report"
  [ "$(cat "$report.code")" = 0 ] ||
    die "training would not work in $venv yet: the doctor says above what to do"
}

do_official() {
  # Under another name first, so that a half-filled folder is never taken for the overlay.
  rm -rf "$venv/official.part"
  pip_install "the official wheels" --no-deps --target "$venv/official.part" -r requirements/official.txt
  rm -rf "$venv/official"
  mv "$venv/official.part" "$venv/official"
}

run_stages() {
  local stage number=0 total=0
  for stage in $stages; do total=$((total + 1)); done
  for stage in $stages; do
    number=$((number + 1))
    if is_done "$stage"; then
      say "[$number/$total] $(title_of "$stage"): done before"
      continue
    fi
    say "[$number/$total] $(title_of "$stage")"
    : >"$state/started"
    "do_$stage"
    stamp "$stage"
    rm -f "$state/started"
  done
}

# --- main -----------------------------------------------------------------------------------------

# Decide whether the .venv that is there can be kept; clears $have if it has to be made anew.
judge_venv() {
  if [ -n "$have" ] && ! is_supported "${have%% *}"; then
    say ".venv has Python ${have%% *}, expected 3.10 to 3.13: making it anew"
    have=
  elif [ -n "$have" ] && [ -n "${PYTHON:-}" ] && [ "${have%% *}" != "$base_version" ]; then
    say ".venv has Python ${have%% *}, PYTHON=$PYTHON is $base_version: making it anew"
    have=
  elif [ -n "$have" ] && ! "$py" -m pip --version >/dev/null 2>&1; then
    say "pip does not run in .venv: making it anew"
    have=
  elif [ -z "$have" ] && [ -e "$venv/bin" ]; then
    say "the Python in .venv does not run: making it anew"
  fi
}

# Make pip install again what is not whole, although its stage was through or its metadata is there.
repair() {
  local gone='' dropped
  if [ -e "$state/equikpt.done" ]; then # all was there once
    case $have in *without*) gone=${have#*without } ;; esac
  fi
  if [ -z "$gone" ] && [ ! -e "$state/started" ]; then return; fi
  dropped=$(drop_half_installed | tr '\n' ' ')
  if [ -n "$gone$dropped" ]; then
    say "not whole, installing again: $gone $dropped"
    rm -f "$state"/*.done
  fi
}

main() {
  local dev=yes official='' stages
  while [ $# -gt 0 ]; do
    case $1 in
    --python)
      [ $# -ge 2 ] || die "--python needs a Python, as in --python python3.12"
      PYTHON=$2
      shift
      ;;
    --python=*) PYTHON=${1#*=} ;;
    --dev) dev=yes ;;
    --no-dev) dev= ;;
    --official) official=official ;;
    -h | --help) usage && exit 0 ;;
    *) die "unknown option $1: ./setup.sh --help lists the options" ;;
    esac
    shift
  done
  stages="venv torch runtime mmstack xtcocotools ${dev:+dev} equikpt doctor $official"

  cd "$root"
  # What would make pip install elsewhere, or take other people's packages for installed.
  unset PYTHONPATH PYTHONHOME PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV __PYVENV_LAUNCHER__
  export PIP_USER=0 PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_PROGRESS_BAR=off
  export PYTHONUNBUFFERED=1

  if [ -n "${PYTHON:-}" ]; then choose_python; fi
  inspect_venv
  if all_done && { [ -z "${PYTHON:-}" ] || [ "${have%% *}" = "$base_version" ]; }; then
    say "setup: .venv is complete (Python ${have%% *})"
    return
  fi

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
  say "setup: .venv is complete (Python ${have%% *})"
}

main "$@"
