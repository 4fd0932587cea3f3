#!/usr/bin/env python3
"""Summarise an Autobahn report folder; exit 1 if a case failed, 2 if the run is not sound.

    summarise.py REPORT_DIR [--fail-on LIST] [--known FILE] [--status N] [--seconds N]

REPORT_DIR holds index.json as the suite writes it, and run.log when run.sh made it.
"""
import argparse
import collections
import fnmatch
import json
import pathlib
import re
import sys

# from best to worst; the last four appear for the closing handshake only
ORDER = ["OK", "INFORMATIONAL", "NON-STRICT", "UNIMPLEMENTED",
         "FAILED BY CLIENT", "UNCLEAN", "WRONG CODE", "FAILED"]
SHOWN = ["OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED", "FAILED"]


def rank(outcome):
    return ORDER.index(outcome) if outcome in ORDER else len(ORDER)


def number(case):
    return [int(part) for part in case.split(".")]


def ranges(cases):
    """13.3.1 13.3.2 13.3.3 -> 13.3.1-3"""
    parts = []
    for case in sorted(cases, key=number):
        head, tail = case.rsplit(".", 1)
        if parts and parts[-1][0] == head and parts[-1][2] == int(tail) - 1:
            parts[-1][2] = int(tail)
        else:
            parts.append([head, int(tail), int(tail)])
    return " ".join("%s.%d" % (h, a) if a == b else "%s.%d-%d" % (h, a, b) for h, a, b in parts)


def read_known(path):
    """Lines "PATTERN OUTCOME", # starts a comment; the last that matches a case counts."""
    known = []
    for line in pathlib.Path(path).read_text().splitlines():
        line = line.split("#", 1)[0].strip()
        if line:
            pattern, _, outcome = line.partition(" ")
            if outcome.strip() not in ORDER:
                sys.exit("summarise: %s: no outcome in %r" % (path, line))
            known.append((pattern, outcome.strip()))
    return known


def allowed(known, case):
    found = [outcome for pattern, outcome in known if fnmatch.fnmatchcase(case, pattern)]
    return found[-1] if found else "OK"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report")
    parser.add_argument("--fail-on", default="FAILED,WRONG CODE,UNCLEAN")
    parser.add_argument("--known")
    parser.add_argument("--status", type=int, default=0)
    parser.add_argument("--seconds", type=int)
    args = parser.parse_args()
    report = pathlib.Path(args.report)
    bad = {name.strip() for name in args.fail_on.split(",")}
    known = read_known(args.known) if args.known else None

    log = ""
    if (report / "run.log").exists():
        log = (report / "run.log").read_text(errors="replace")
    unsound = []
    if args.status in (124, 137):
        unsound.append("the run was stopped by its time limit")
    elif args.status:
        unsound.append("the suite ended with status %d" % args.status)
    if "Unhandled Error" in log or "Traceback (most recent call last)" in log:
        unsound.append("the test client itself raised an error (see run.log)")

    try:
        agents = json.loads((report / "index.json").read_text())
    except (OSError, ValueError) as error:
        print("summarise: no usable index.json: %s" % error)
        if log:
            print("".join("  | %s\n" % line for line in log.splitlines()[-15:]), end="")
        print("0 passed, 1 failed")
        return 2

    passed = failed = skipped = 0
    for agent, cases in agents.items():
        first = collections.Counter(c["behavior"] for c in cases.values())
        close = collections.Counter(c["behaviorClose"] for c in cases.values())
        names = SHOWN + sorted((set(first) | set(close)) - set(SHOWN), key=rank)
        print("%s: %d cases%s" % (agent, len(cases),
              ", %d s" % args.seconds if args.seconds is not None else ""))
        print("  %-18s %10s %10s" % ("outcome", "behaviour", "close"))
        for name in names:
            print("  %-18s %10d %10d" % (name, first[name], close[name]))
        groups = collections.defaultdict(list)
        for case, result in cases.items():
            a, b = result["behavior"], result["behaviorClose"]
            if a != "OK" or b != "OK":
                groups[(a, b)].append(case)
            worst = max(a, b, key=rank)
            if known is not None:
                wrong = rank(worst) > rank(allowed(known, case))
            else:
                wrong = a in bad or b in bad or worst not in ORDER
            if wrong:
                failed += 1
                print("  not ok %s: behaviour %s, close %s, code %s (%s)" % (
                    case, a, b, result.get("remoteCloseCode"), result.get("reportfile")))
            elif worst == "UNIMPLEMENTED":
                skipped += 1
            else:
                passed += 1
        for (a, b), found in sorted(groups.items(), key=lambda g: (rank(g[0][0]), rank(g[0][1]))):
            print("  %s%s: %s" % (a, "" if b in (a, "OK") else " (close %s)" % b, ranges(found)))
        # a connection that never opened is booked with the time since 1970
        timed = {c: r for c, r in cases.items() if r.get("duration", 0) < 1e9}
        slow = sorted(timed.items(), key=lambda c: -c[1].get("duration", 0))[:5]
        print("  slowest: " + ", ".join("%s %.1f s" % (c, r.get("duration", 0) / 1000) for c, r in slow))
        told = re.search(r"^Ok, will run (\d+) test cases", log, re.M)
        if told and int(told.group(1)) != len(cases):
            unsound.append("%s cases were to run, %d have a result: did the server stop?"
                           % (told.group(1), len(cases)))
        if not cases:
            unsound.append("no case ran")
    if not agents:
        unsound.append("no case ran: is there a WebSocket server at that address?")

    for reason in unsound:
        print("summarise: " + reason)
    if unsound:
        failed += 1
    print("reports: index.html in the report folder")
    print("%d passed, %d failed%s" % (passed, failed, ", %d skipped" % skipped if skipped else ""))
    return 2 if unsound else 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
