"""Keeps what a pane shows as a recording: record.py SOCKET PANE PROFILE NAME PHASE [RULE] [--own N]

    python tests/recordings/record.py mysocket %3 codex permission waiting permission --own 14

PHASE is what the profile must read there (none: nothing), RULE by which of its rules. `--own N`: the last N
lines are the program's own; what stands above them may be anything an agent prints. Look through the file
before it is kept: names, folders and words of yours may stand in it."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("socket", "pane", "profile", "name", "phase"):
        words.add_argument(name)
    words.add_argument("rule", nargs="?", default="")
    words.add_argument("--own", type=int, default=0)
    words.add_argument("--version", default="version unknown", help="of the program, for people")
    said = words.parse_args()
    tmux = ["tmux", "-L", said.socket, "-N"]
    shown = subprocess.run(
        [*tmux, "capture-pane", "-p", "-J", "-t", said.pane], capture_output=True, text=True, check=False
    )
    if shown.returncode != 0:
        print(f"tmux -L {said.socket}: {shown.stderr.strip()}", file=sys.stderr)
        return 1
    lines = [line.rstrip() for line in shown.stdout.rstrip().split("\n")]
    head = [f"# profile: {said.profile}", f"# phase: {said.phase}"]
    head += [f"# rule: {said.rule}"] if said.rule else []
    head += [f"# own: {said.own}"] if said.own else []
    path = HERE / said.profile / f"{said.name}.txt"
    path.parent.mkdir(exist_ok=True)
    head.append(f"# from: a real pane, {said.version}")
    path.write_text("\n".join([*head, "---", *lines]) + "\n", encoding="utf-8")
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
