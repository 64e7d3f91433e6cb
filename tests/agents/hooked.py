"""An agent CLI with a hook system: runs its configuration's hooks as Claude Code and Codex do, when told.

usage: hooked.py CONFIG FIFO [more]; each line of the FIFO is `EVENT {json}`, and its hooks get the JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def main(config: str, fifo: str) -> None:
    print("it is up", flush=True)
    while True:
        with Path(fifo).open(encoding="utf-8") as told:
            for line in told:
                event, _, payload = line.strip().partition(" ")
                hooks = json.loads(Path(config).read_text(encoding="utf-8")).get("hooks", {})
                for group in hooks.get(event, []):
                    for hook in group["hooks"]:
                        said = payload.encode()
                        done = subprocess.run(
                            ["sh", "-c", hook["command"]],
                            input=said,
                            capture_output=True,
                            timeout=hook["timeout"],
                            check=False,
                        )
                        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


main(*sys.argv[1:3])
