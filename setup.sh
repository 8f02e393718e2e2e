#!/usr/bin/env bash
# Makes .venv beside this file and installs everything into it. For bash 3.2 (macOS) and later. A
# second run has nothing to do until a requirement changes; one that was stopped is gone on with.
#
# usage: ./setup.sh [--python PYTHON] [--dev | --no-dev] [--official]
#
#   --python PYTHON  Python 3.10 to 3.13 for .venv (default: $PYTHON, then the first that runs of
#                    python3.12, 3.11, 3.10, 3.13 and python3)
#   --dev, --no-dev  with (default) or without what tests and checks need
#   --official       also lay the official OpenMMLab wheels into .venv/official (make test-official)
#
# environment:
#   TORCH_INDEX_URL      index for torch and torchvision, such as
#                        https://download.pytorch.org/whl/cpu or .../whl/cu126
#   EQUIKPT_MIN_FREE_GB  free disk space to insist on (default 8; 4 for a CPU build of torch)
#   and those of pip: PIP_INDEX_URL, PIP_FIND_LINKS, https_proxy, ...
set -euo pipefail

root=$(cd "$(dirname "$0")" && pwd -P)
venv=$root/.venv py=$root/.venv/bin/python state=$root/.venv/.setup
log=$state/log tmp=$state/tmp parts='base dev' official='' child='' base='' version=''
have='' # "3.11", or "3.11 without mmpose …"; nothing where the Python of .venv does not run
say() { printf '%s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2 && exit 2; }

# --- one setup.sh at a time, and no pip that outlives it ---
stop() { printf 'stopped: run ./setup.sh again, it goes on from here\n' >&2 && exit "$1"; }
kill_group() { { kill -TERM -- "-$1" && sleep 1 && kill -KILL -- "-$1"; } 2>/dev/null || true; }
is_setup() { kill -0 "${1:-x}" 2>/dev/null && { ! command -v ps >/dev/null || [[ $(ps -ww -p "$1" -o command=) == *setup.sh* ]]; }; }
take_lock() {
  local owner
  mkdir -p "$state" 2>/dev/null || die "cannot write to $venv: make $root writable for you"
  until mkdir "$state/lock" 2>/dev/null; do
    sleep 2 # also the time that a new owner has to write its number
    owner=$(cat "$state/lock/pid" 2>/dev/null || true)
    if is_setup "$owner"; then say "waiting for another setup.sh (process $owner)"; else rm -rf "$state/lock"; fi
  done
  trap '[ -z "$child" ] || kill_group "$child"; rm -rf "$tmp" "$state/child" "$state/lock"' EXIT
  say "$$" >"$state/lock/pid"
  owner=$(cat "$state/child" 2>/dev/null || true)
  ! is_setup "$owner" || kill_group "$owner" # the pip of a killed setup.sh
  rm -rf "$tmp" && mkdir -p "$tmp"
}

# --- commands that take long, and one sentence on why they failed ---
run() { # WHAT COMMAND...
  local what=$1
  shift
  set -m # a process group of its own, so that stopping it stops its children too
  (TMPDIR=$tmp "$@" </dev/null 2>&1 | tee "$log") &
  child=$!
  set +m
  say "$child" >"$state/child"
  wait "$child" || { child='' && explain "$what"; }
  child=
}
pip_install() { run "$1" "$py" -m pip install "${@:2}"; } # WHAT ARGUMENTS...
explain() { # WHAT
  local lacking network='Connection(Error|Refused| refused| broken| reset)|Connect(Timeout|ion timed out)|Read(Timeout| timed out)|name resolution|Name or service not known|nodename nor servname|Network is unreachable|ProxyError|Tunnel connection failed|SSLError'
  ! grep -qE 'No space left on device|Disk quota exceeded' "$log" || die "the disk of $venv filled up while installing $1: free some space and run ./setup.sh again"
  ! grep -qE "$network" "$log" || die "pip could not reach its package index for $1: check the network, or set https_proxy, PIP_INDEX_URL or PIP_FIND_LINKS, and run ./setup.sh again"
  lacking=$(sed -n 's/.*No matching distribution found for //p' "$log")
  [ -z "$lacking" ] || die "the package index has no $lacking for this Python ($("$py" --version 2>&1)): set PIP_INDEX_URL to an index that has it, or PYTHON to another Python"
  die "installing $1 failed; the lines above say why"
}

# --- the Python, and what has to be there before anything is downloaded ---
is_supported() { [[ $1 =~ ^3\.1[0-3]$ ]]; }
choose_python() { # sets $base, a Python outside any virtual environment, and its $version
  if [ -n "${PYTHON:-}" ]; then set -- "$PYTHON"; else set -- python3.12 python3.11 python3.10 python3.13 python3; fi
  for base; do # a pyenv shim may exist and not run
    version=$("$base" -c 'import sys; sys.stdout.write("%d.%d" % sys.version_info[:2])' 2>/dev/null || true)
    ! is_supported "$version" || break
  done
  is_supported "$version" || die "no Python 3.10 to 3.13 that runs (tried $*${version:+, which is $version}): install one, or name it, as in PYTHON=/path/to/python3 ./setup.sh"
  base=$("$base" -c 'import sys; print(getattr(sys, "_base_executable", None) or sys.executable)')
}
inspect_venv() { # sets $have
  have=$("$py" -I - 2>/dev/null <<'CODE' || true
import sys
from importlib.util import find_spec

needed = "pip setuptools torch torchvision cv2 albumentations mmengine mmcv mmpose xtcocotools equikpt equikpt_runtime"
missing = [name for name in needed.split() if find_spec(name) is None]
print("%d.%d" % sys.version_info[:2], *(["without", *missing] if missing else []))
CODE
  )
}
is_usable() { # the environment that is there, for the Python that was asked for
  is_supported "${have%% *}" && [[ -z ${PYTHON:-} || ${have%% *} == "$version" ]] && "$py" -m pip --version >/dev/null 2>&1
}
check_disk() {
  local free_gb needed=${EQUIKPT_MIN_FREE_GB:-8}
  [[ $(uname -s) != Darwin && ${TORCH_INDEX_URL:-} != */cpu* ]] || needed=${EQUIKPT_MIN_FREE_GB:-4}
  [[ $needed =~ ^[0-9]+$ ]] || die "EQUIKPT_MIN_FREE_GB=$needed is not a whole number of gigabytes"
  free_gb=$(df -Pk "$root" | awk 'NR == 2 { print int($4 / 1024 / 1024) }')
  [ "$free_gb" -ge "$needed" ] || die "$free_gb GB are free for $venv, about $needed are needed: free some space, choose the smaller CPU build of torch (TORCH_INDEX_URL), or lower EQUIKPT_MIN_FREE_GB"
}
check_compiler() { # PYTHON; CC may hold options, so it is not quoted
  local own include
  own=$("$1" -c 'import sysconfig; print((sysconfig.get_config_var("CC") or "cc").split()[0])')
  include=$("$1" -c 'import sysconfig; print(sysconfig.get_path("include"))')
  for CC in "${CC:-$own}" cc gcc clang ''; do
    [ -z "$CC" ] || ! $CC --version >/dev/null 2>&1 || break
  done
  [ -n "$CC" ] || die "no C compiler found, and xtcocotools is compiled from source: install one (Debian, Ubuntu: apt install build-essential; macOS: xcode-select --install)"
  [ -f "$include/Python.h" ] || die "Python.h is missing from $include, and xtcocotools is compiled from source: install the headers of this Python (Debian, Ubuntu: apt install python3-dev)"
  export CC
}

# --- parts, each with a stamp of the requirements that it was installed for ---
stamp() { { say "$root" && cat requirements/*.txt setup.py pyproject.toml runtime/pyproject.toml setup.sh; } | cksum; }
has_torch_index() { [ -z "${TORCH_INDEX_URL:-}" ] || [ "$(cat "$state/index" 2>/dev/null)" = "$TORCH_INDEX_URL" ]; }
is_done() { [ "$(cat "$state/$1.done" 2>/dev/null)" = "$(stamp)" ] && { [ "$1" != base ] || has_torch_index; }; }
all_done() {
  [[ -n $have && $have != *without* ]] && [[ -z ${PYTHON:-} || ${have%% *} == "$version" ]] || return 1
  for part in $parts; do is_done "$part" || return 1; done
}
install_base() {
  [ -n "$have" ] || run "the virtual environment" "$base" -m venv "$venv"
  for info in "$venv"/lib/python*/site-packages/*.dist-info; do # pip writes this file last
    [ -e "$info/INSTALLER" ] || rm -rf "$info"
  done
  pip_install pip --upgrade "pip>=24" "setuptools>=77" wheel
  set -- ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"}
  has_torch_index || set -- --force-reinstall "$@" # another build of that version counts as there
  pip_install PyTorch "$@" -r requirements/torch.txt
  say "${TORCH_INDEX_URL:-}" >"$state/index"
  pip_install "the libraries" -r requirements/torch.txt -r requirements/runtime.txt
  pip_install OpenMMLab --no-deps -r requirements/mmstack.txt
  xtcocotools_works 2>/dev/null || compile_xtcocotools
  pip_install equikpt-runtime --no-deps --no-build-isolation -e runtime
  pip_install equikpt --no-deps --no-build-isolation -e .
  [ ! -f tools/doctor.py ] || "$py" tools/doctor.py </dev/null || die "training would not work in $venv yet: the doctor says above what to do"
}
xtcocotools_works() { "$py" -I -c 'import numpy as np; from xtcocotools import mask; m = np.asfortranarray(np.eye(4, 6, dtype=np.uint8)); assert (mask.decode(mask.encode(m)) == m).all()'; }
compile_xtcocotools() { # no cache: it may hold a wheel that was compiled against another numpy
  pip_install "the build tools of xtcocotools" --target "$tmp/tools" -r requirements/build.txt
  run xtcocotools env "PYTHONPATH=$tmp/tools" "$py" -m pip wheel --no-cache-dir --no-build-isolation \
    --no-deps --no-binary :all: -w "$tmp/wheels" -r requirements/xtcocotools.txt
  pip_install xtcocotools --no-deps --force-reinstall "$tmp/wheels"/*.whl
  xtcocotools_works || die "xtcocotools was compiled and its mask functions fail: the lines above say why"
}
install_dev() { pip_install "the test tools" -c requirements/runtime.txt -r requirements/dev.txt; }
install_official() { # under another name first: a half-filled folder is never taken for the overlay
  rm -rf "$venv/official.part"
  pip_install "the official wheels" --no-deps --target "$venv/official.part" -r requirements/official.txt
  rm -rf "$venv/official"
  mv "$venv/official.part" "$venv/official"
}
install() {
  local part
  take_lock
  inspect_venv # again: another setup.sh may have been at work until now
  if ! is_usable; then
    [ ! -e "$venv/bin" ] || say "the Python or pip of .venv does not run, or is another (${have%% *}) than asked for: making it anew"
    choose_python
    "$base" -c 'import venv, ensurepip' >/dev/null 2>&1 || die "$base (Python $version) lacks the module venv or ensurepip: install it (Debian, Ubuntu: apt install python$version-venv)"
    check_disk && check_compiler "$base"
    have='' # $base is outside of what goes now
    find "$venv" -mindepth 1 -maxdepth 1 ! -name .setup -exec rm -rf {} +
    rm -f "$state"/*.done "$state/index"
  elif [[ $have == *without* ]]; then
    check_disk && check_compiler "$py"
    [ ! -e "$state/base.done" ] || { say "not whole, installing again: ${have#*without }" && export PIP_FORCE_REINSTALL=1; }
    rm -f "$state"/*.done
  fi
  for part in $parts; do
    if is_done "$part"; then continue; fi
    "install_$part"
    stamp >"$state/$part.done"
  done
  inspect_venv
  [[ -n $have && $have != *without* ]] || die "after all stages .venv still is ${have:-without a Python that runs}: remove $venv and run ./setup.sh again"
}

while [ $# -gt 0 ]; do
  case $1 in
  --python) [ $# -ge 2 ] || die "--python needs a Python, as in --python python3.12" && PYTHON=$2 && shift ;;
  --python=*) PYTHON=${1#*=} ;;
  --dev) parts='base dev' ;;
  --no-dev) parts=base ;;
  --official) official=official ;;
  -h | --help) sed -n '5,/^set/s/^# \{0,1\}//p' "$0" && exit 0 ;;
  *) die "unknown option $1: ./setup.sh --help lists the options" ;;
  esac
  shift
done
parts="$parts $official"
cd "$root"
# What would make pip install elsewhere, or take other people's packages for installed.
unset PYTHONPATH PYTHONHOME PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV __PYVENV_LAUNCHER__
export PIP_USER=0 PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_PROGRESS_BAR=off PYTHONUNBUFFERED=1
[ -z "${PYTHON:-}" ] || choose_python
inspect_venv
if ! all_done; then
  trap 'stop 130' INT && trap 'stop 143' TERM HUP
  install
fi
say "setup: .venv is complete (Python ${have%% *})"
