"""Checks that every test that docs/traps.md points to exists."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
named = re.findall(r"`([\w/.-]+\.rs)::(\w+)`", (ROOT / "docs/traps.md").read_text())
missing = [
    f"{file}: no test {test}"
    for file, test in named
    if not (path := ROOT / "crates" / file).exists()
    or not re.search(rf"\bfn {test}\(", path.read_text())
]
print("\n".join(missing) or f"{len(named)} tests stand behind the traps")
sys.exit(1 if missing or not named else 0)
