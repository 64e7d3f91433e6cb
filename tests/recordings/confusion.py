"""Prints, profile by profile, which phase each recording has and which one is read there.

    python tests/recordings/confusion.py [FOLDER] [--profile NAME] [--json]

FOLDER: recordings as record.py keeps them, `PROFILE/NAME.txt`; else those beside this file. Each is
shown to the real reader with the profile's real rules until it stands still: what is read then is what
an agent at rest would be taken for. Rows are the phases that the labels tell, columns those that were
read (none: nothing was). Exit 1 when one is wrong, with its name; 2 when a recording cannot be read."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hhmrs.config.fleet import Profile
from hhmrs.config.profiles import builtin_profiles
from hhmrs.controller.terminals.screens import ScreenReader

HERE = Path(__file__).parent
LOOKS = 12
"""More than any rule needs before it is believed."""


class Unreadable(Exception):
    """What is wrong with a recording, and where."""


@dataclass(frozen=True)
class Reading:
    """One recording. `told` and `read` are phases; `rule`: by which rule it should be read, `by`: it was."""

    name: str
    profile: str
    told: str
    read: str
    rule: str
    by: str

    @property
    def wrong(self) -> bool:
        return self.told != self.read


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("folder", nargs="?", type=Path, default=HERE)
    words.add_argument("--profile", choices=sorted(builtin_profiles()))
    words.add_argument("--json", action="store_true")
    said = words.parse_args()
    try:
        found = [each for each in readings(said.folder) if said.profile in (None, each.profile)]
    except Unreadable as error:
        print(error, file=sys.stderr)
        return 2
    if not found:
        print(f"{said.folder}: no recordings there, expected PROFILE/NAME.txt", file=sys.stderr)
        return 2
    wrong = [each for each in found if each.wrong]
    if said.json:
        print(json.dumps(as_document(found), indent=2))
    else:
        print("\n".join(page(found)))
    return 1 if wrong else 0


def readings(folder: Path) -> Iterator[Reading]:
    """Every recording below `folder`, read. Raises Unreadable."""
    known = builtin_profiles()
    for path in sorted(folder.glob("*/*.txt")):
        yield reading(path, known)


def reading(path: Path, known: Mapping[str, Profile]) -> Reading:
    try:
        head, mark, text = path.read_text(encoding="utf-8").partition("\n---\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{path}: {error}") from None
    said = dict(line.removeprefix("# ").split(": ", 1) for line in head.split("\n") if ": " in line)
    if not mark or "phase" not in said or said.get("profile") not in known:
        raise Unreadable(f"{path}: expected `# profile:` (a built-in one) and `# phase:`, then a line of ---")
    profile = known[said["profile"]]
    reader, lines = ScreenReader(profile.screens), text.rstrip().split("\n")
    seen = [verdict.matched for verdict in (reader.look(lines) for _ in range(LOOKS))]
    last = next((match for match in reversed(seen) if match), None)
    phase, by = (last.rule.phase, last.rule.name) if last else ("none", "")
    return Reading(
        f"{path.parent.name}/{path.stem}", profile.name, said["phase"], phase, said.get("rule", ""), by
    )


def as_document(found: list[Reading]) -> dict[str, object]:
    """Profile -> told -> read -> how many; and those that are wrong, by name."""
    matrix: dict[str, dict[str, dict[str, int]]] = {}
    for each in found:
        row = matrix.setdefault(each.profile, {}).setdefault(each.told, {})
        row[each.read] = row.get(each.read, 0) + 1
    wrong = [{"name": x.name, "told": x.told, "read": x.read, "by": x.by} for x in found if x.wrong]
    return {"recordings": len(found), "wrong_at_rest": len(wrong), "wrong": wrong, "matrix": matrix}


def page(found: list[Reading]) -> Iterator[str]:
    for profile in dict.fromkeys(each.profile for each in found):
        own = [each for each in found if each.profile == profile]
        yield from table(profile, own)
        yield ""
    for each in found:
        if each.wrong:
            yield f"wrong: {each.name} is {each.told}, read as {each.read}" + (
                f" by {each.by}" if each.by else ""
            )
    yield f"{len(found)} recordings, {sum(each.wrong for each in found)} wrong at rest"


def table(profile: str, own: list[Reading]) -> Iterator[str]:
    rows = sorted({each.told for each in own})
    columns = sorted({each.read for each in own} | set(rows))
    count = Counter((each.told, each.read) for each in own)
    wide = max(len(profile), *map(len, rows), 8)
    yield f"{profile:{wide}}" + "".join(f"{column:>9}" for column in columns) + "   (read)"
    for told in rows:
        yield f"{told:{wide}}" + "".join(f"{count[told, column] or '.':>9}" for column in columns)


if __name__ == "__main__":
    sys.exit(main())
