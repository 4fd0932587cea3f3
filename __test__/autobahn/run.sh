#!/usr/bin/env bash
# Runs the Autobahn WebSocket conformance suite (its fuzzing client) against a WebSocket echo server and says what passed. See README.md.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
  cat <<'TXT'
usage: run.sh [options] URL [CASE ...]

  URL     ws:// or wss:// address of an echo server (text in, text out; binary
          in, binary out), e.g. ws://127.0.0.1:9001/
  CASE    case numbers or patterns such as 1.1.1 or '6.*'; also the names
          quick (all but 9, 12, 13), full (all 517; the default)

options
  --cache DIR     where the virtual environment is kept; made when absent
                  (default: $AUTOBAHN_CACHE, else ~/.cache/autobahn-suite)
  --out DIR       where the reports go, emptied first if it holds an older
                  report (default: a new folder under the cache)
  --exclude CASE  leave out cases that match; may be repeated
  --agent NAME    name of the server in the reports (default: server)
  --fail-on LIST  outcomes that fail the run, comma separated
                  (default: FAILED,WRONG CODE,UNCLEAN)
  --known FILE    cases allowed to miss: lines "6.4.1 NON-STRICT"; any case that
                  does worse than its line says, or is not OK and has no line,
                  fails the run
  --timeout SEC   give up after this long (default: 3600)
  --install-only  make the environment and stop

Python 3.11 is looked for as $PYTHON (default: python3).
TXT
}

cache=${AUTOBAHN_CACHE:-${XDG_CACHE_HOME:-${HOME:-.}/.cache}/autobahn-suite}
out='' agent=server timeout=3600 install_only=0
exclude=() summary_args=() cases=() url=''
python=${PYTHON:-python3}

die() { echo "run.sh: $*" >&2; exit 2; }

while (($#)); do
  case $1 in
    --cache|--out|--exclude|--agent|--fail-on|--known|--timeout)
      (($# >= 2)) || die "$1 needs a value"
      case $1 in
        --cache) cache=$2 ;;
        --out) out=$2 ;;
        --exclude) exclude+=("$2") ;;
        --agent) agent=$2 ;;
        --fail-on) summary_args+=(--fail-on "$2") ;;
        --known) summary_args+=(--known "$2") ;;
        --timeout) timeout=$2 ;;
      esac
      shift 2 ;;
    --install-only) install_only=1; shift ;;
    -h|--help) usage; exit 0 ;;
    -*) usage >&2; die "unknown option $1" ;;
    *) if [[ -z $url ]]; then url=$1; else cases+=("$1"); fi; shift ;;
  esac
done

if ((!install_only)); then
  [[ $url == ws://* || $url == wss://* ]] || { usage >&2; die "no ws:// or wss:// URL given"; }
fi

# --- environment -----------------------------------------------------------
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
stamp=$(cat "$here/requirements.txt" "$here/port_wstest.py" | cksum)
stamp="$stamp $("$python" -c 'import platform; print(platform.python_version(), platform.machine())')"
# One folder per set of pins: an update never pulls the ground from under a run that is still going on.
home=$cache/wstest-$(printf '%s' "$stamp" | cksum | cut -d' ' -f1)
py=$home/venv/bin/python

install() {
  echo "run.sh: installing the suite below the cache folder" >&2
  rm -rf "$home"
  mkdir -p "$home"
  "$python" -m venv "$home/venv"
  local pip=("$py" -m pip install --quiet --disable-pip-version-check --no-input)
  # autobahn 0.10.9 is a source release that needs setuptools to install, and the suite asks pkg_resources for its data files, gone from
  # setuptools 82.
  "${pip[@]}" 'setuptools==75.8.0' 'wheel==0.45.1'
  "${pip[@]}" --no-build-isolation -r "$here/requirements.txt"
  "$py" "$here/port_wstest.py" "$home/port" >&2
  PYTHONPATH=$home/port "$py" -W ignore -c 'import autobahntestsuite.case as c; assert len(c.Cases) == 517, len(c.Cases)'
  printf '%s\n' "$stamp" >"$home/stamp" # last: says that the installation is whole
}

# Two runs that start at once must not install over each other.
exec 9>"$cache/.lock-wstest"
if command -v flock >/dev/null; then flock 9; fi
if [[ ! -x $py || $(cat "$home/stamp" 2>/dev/null || true) != "$stamp" ]]; then install; fi
exec 9>&-
if ((install_only)); then echo "run.sh: the suite is ready" >&2; exit 0; fi

# --- cases -----------------------------------------------------------------
wanted=()
for c in "${cases[@]:-full}"; do
  case $c in
    full) wanted+=('*') ;;
    quick) wanted+=('1.*' '2.*' '3.*' '4.*' '5.*' '6.*' '7.*' '10.*') ;;
    *) wanted+=("$c") ;;
  esac
done

# --- reports ---------------------------------------------------------------
if [[ -z $out ]]; then
  mkdir -p "$cache/reports"
  out=$(mktemp -d "$cache/reports/$(date +%Y%m%d-%H%M%S)-$agent-XXXX")
else
  if [[ -d $out && -n $(ls -A "$out") ]]; then
    [[ -f $out/index.json || -f $out/run.log ]] || die "--out holds something else than a report"
    rm -rf "$out"
  fi
  mkdir -p "$out"
fi
out=$(cd "$out" && pwd)
log=$out/run.log

# --- run -------------------------------------------------------------------
# A server that is not there would otherwise look like an empty, clean run.
"$py" - "$url" <<'PY' || die "nothing listens at $url"
import socket, sys, time, urllib.parse
u = urllib.parse.urlsplit(sys.argv[1])
port = u.port or (443 if u.scheme == "wss" else 80)
for attempt in range(50):
    try:
        socket.create_connection((u.hostname, port), 2).close()
        break
    except OSError:
        time.sleep(0.1)
else:
    sys.exit(1)
PY

"$py" - "$out" "$agent" "$url" "${#wanted[@]}" "${wanted[@]}" ${exclude[@]+"${exclude[@]}"} >"$out/fuzzingclient.json" <<'PY'
import json, sys
out, agent, url, n = sys.argv[1:5]
rest = sys.argv[5:]
print(json.dumps({
    "outdir": out,
    "servers": [{"agent": agent, "url": url}],
    "cases": rest[:int(n)],
    "exclude-cases": rest[int(n):],
    "exclude-agent-cases": {},
}, indent=2))
PY

started=$(date +%s)
status=0
run=()
# In the foreground: whoever ends this script's process group ends the suite with it.
if command -v timeout >/dev/null; then run=(timeout --foreground --kill-after=10 "$timeout"); fi
(cd "$out" && PYTHONPATH=$home/port PYTHONUNBUFFERED=1 \
  ${run[@]+"${run[@]}"} "$py" -W ignore -m autobahntestsuite -m fuzzingclient -s fuzzingclient.json) \
  >"$log" 2>&1 || status=$?
seconds=$(($(date +%s) - started))

exec "$py" "$here/summarise.py" "$out" --status "$status" --seconds "$seconds" ${summary_args[@]+"${summary_args[@]}"}
