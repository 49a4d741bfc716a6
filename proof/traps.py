"""Checks that every test that docs/traps.md points to exists, and every file and test of docs/features.md."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
# The name of a test, long as they are, or its beginning before "…".
NAME = r"[a-z0-9]+(?:_[a-z0-9]+){3,}"


def tests():
    """Each file and the beginning of the test's name, by the page that says so."""
    for file, name in re.findall(r"`([\w/.-]+\.rs)::(\w+)`", (ROOT / "docs/traps.md").read_text()):
        yield "traps", f"crates/{file}", name
    features = (ROOT / "docs/features.md").read_text()
    # The link is the name, or holds it as its title, or the name stands behind it.
    for text, file, title, behind in re.findall(
        rf'\[([^\]]*)\]\(\.\./([\w/.-]+)(?: "({NAME})")?\)(?: `({NAME})`)?', features
    ):
        names = re.findall(rf"`({NAME})(?:_?…)?`", text) if file.endswith(".rs") else []
        for name in [*names, title, behind]:
            yield "features", file, name


found = list(tests())
missing = [
    f"{page}: there is no {file} with {name or 'anything'}"
    for page, file, name in found
    if not (ROOT / file).exists() or name and not re.search(rf"\bfn {name}", (ROOT / file).read_text())
]
print("\n".join(missing) or f"{sum(bool(name) for _, _, name in found)} tests stand behind the traps and the features")
sys.exit(1 if missing or not found else 0)
