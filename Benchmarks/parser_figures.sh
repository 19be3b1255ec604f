#!/usr/bin/env bash
# What hostile texts cost beside plain prose of the same size, for every parser of foreign text: the texts of
# Tests/TestSupport/HostileTexts.swift, 16 KB each (messages 10 KB, front matter 8 KB), the best of three runs, one test after the other.
#
#     Benchmarks/parser_figures.sh [worst texts of each parser, default 1]
#
# Prints a table of the worst texts. It finds texts that deserve a look: short ones are measured one by one, in a debug build, where
# what is made of a text (an element, a cell, an error) costs many times what a byte of prose costs. hostile_report.py measures whole
# answers of a release build and has the limit.
set -euo pipefail
cd "$(dirname "$0")/.."
export NANOBOT_PARSER_FIGURES=1
swift test --disable-xctest --no-parallel --filter 'Hostile' 2>&1 | tee /tmp/parser-figures.$$ | grep -E '^(error|✘)' || true
python3 - "${1:-1}" /tmp/parser-figures.$$ <<'PYTHON'
import collections, sys
rows = collections.defaultdict(list)
for line in open(sys.argv[2], errors="replace"):
    if "FIGURE\t" not in line:
        continue
    parser, text, hostile, plain, ratio = line[line.index("FIGURE\t") + 7:].rstrip("\n").split("\t")
    if int(plain) > 0:
        rows[parser].append((float(ratio), text, int(hostile), int(plain)))
print("| parser | worst text | ns a byte | plain prose, ns a byte | ratio | texts |")
print("|---|---|---:|---:|---:|---:|")
worst = 0
for parser, found in sorted(rows.items()):
    found.sort(reverse=True)
    for ratio, text, hostile, plain in found[: int(sys.argv[1])]:
        worst = max(worst, ratio)
        print(f"| {parser} | {text.replace('|', chr(92) + '|')} | {hostile:,} | {plain:,} | {ratio:.1f} | {len(found)} |")
print(f"worst ratio: {worst:.1f}")
sys.exit(0 if rows else 1)
PYTHON
rm -f /tmp/parser-figures.$$
