"""Writes the rows of docs/reference/verifiers.md from what the verifiers said, a line of JSON each.

python3 table.py *.jsonl
"""

import json
import sys

ALGORITHMS, TYPES = ("ES256", "EdDSA", "RS256"), ("at+jwt", "JWT")

said = {}
for name in sys.argv[1:]:
    with open(name, encoding="utf-8") as f:
        for line in f:
            r = json.loads(line)
            said.setdefault((r["verifier"], r["version"]), {})[r["alg"], r["typ"]] = not r["error"]

print("| verifier | version | ES256 | EdDSA | RS256 | `at+jwt` | `JWT` |\n|---|---|---|---|---|---|---|")
for (verifier, version), taken in said.items():
    algorithms = [any(taken.get((a, t)) for t in TYPES) for a in ALGORITHMS]
    types = [any(taken.get((a, t)) for a in ALGORITHMS) for t in TYPES]
    cells = ["yes" if yes else "no" for yes in algorithms + types]
    print(f"| {verifier} | {version.removeprefix('v')} | {' | '.join(cells)} |")
