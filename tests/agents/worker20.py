"""Twenty subtasks, each to be done exactly once over all attempts.

    python worker20.py [--subtasks 20] [--pace 0.1] [--kill-at N] [--hang-at N] [--exit-at N --exit-code 3]
                       [--in-attempts 1] [--trust both|checkpoint] [--ignore-term] [--hurry FILE]

For each subtask: `out/task-NN.txt`, then one line in `journal.jsonl` (fsynced), then a checkpoint letter with
everything completed so far. Ends with a `done` letter and exit 0.

`--kill-at N`   SIGKILLs itself after N subtasks are journaled and checkpointed (0: before the first)
`--hang-at N`   falls silent after N subtasks: reads nothing, prints nothing, uses no CPU
`--exit-at N`   exits with `--exit-code` after N subtasks
`--in-attempts` those happen in the first so many attempts only (default 1)
`--trust`       which subtasks a new attempt leaves out: those of $HHMRS_CHECKPOINT alone, or also those in
                the journal (`both`, the default; an attempt may be killed between the two writes)
`--ignore-term` does not end by SIGTERM
`--hurry`       once FILE is there, subtasks take no time any more

A journal line: {"subtask","attempt","pid","at"}; the first of an attempt has `resumed` (what the checkpoint
said) and `found` (what only the journal knew) as well. Exactly once = `subtask` is unique over the lines.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

from letters import append_line, attempt, letter, stamp

JOURNAL = Path("journal.jsonl")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="a worker of twenty subtasks")
    parser.add_argument("--subtasks", type=int, default=20)
    parser.add_argument("--pace", type=float, default=0.1, help="seconds per subtask")
    parser.add_argument("--kill-at", type=int)
    parser.add_argument("--hang-at", type=int)
    parser.add_argument("--exit-at", type=int)
    parser.add_argument("--exit-code", type=int, default=3)
    parser.add_argument("--in-attempts", type=int, default=1)
    parser.add_argument("--trust", choices=("both", "checkpoint"), default="both")
    parser.add_argument("--ignore-term", action="store_true")
    parser.add_argument("--hurry", type=Path)
    return parser.parse_args()


def completed() -> list[str]:
    path = os.environ.get("HHMRS_CHECKPOINT")
    return [str(name) for name in json.loads(Path(path).read_bytes())["completed"]] if path else []


def journaled() -> list[str]:
    lines = JOURNAL.read_text(encoding="utf-8").splitlines() if JOURNAL.exists() else []
    return [json.loads(line)["subtask"] for line in lines]


def trouble(options: argparse.Namespace, done: int) -> None:
    if attempt() > options.in_attempts:
        return
    if options.kill_at == done:
        os.kill(os.getpid(), signal.SIGKILL)
    if options.hang_at == done:
        while True:
            signal.pause()
    if options.exit_at == done:
        sys.exit(options.exit_code)


def main() -> None:
    options = arguments()
    if options.ignore_term:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    resumed = completed()
    found = [name for name in journaled() if name not in resumed] if options.trust == "both" else []
    done = [*resumed, *found]
    extra: dict[str, object] = {"resumed": resumed, "found": found}
    Path("out").mkdir(exist_ok=True)
    print(f"worker: attempt {attempt()}, {len(done)} done before", flush=True)
    trouble(options, len(done))
    for number in range(1, options.subtasks + 1):
        subtask = f"task-{number:02d}"
        if subtask in done:
            continue
        letter("beat", state="executing", progress=len(done) / options.subtasks, message=f"at {subtask}")
        if options.hurry is None or not options.hurry.exists():
            time.sleep(options.pace)
        Path("out", f"{subtask}.txt").write_text(f"{subtask} by attempt {attempt()}\n", encoding="utf-8")
        line = {"subtask": subtask, "attempt": attempt(), "pid": os.getpid(), "at": stamp(), **extra}
        append_line(JOURNAL, json.dumps(line))
        extra = {}
        done.append(subtask)
        rest = [f"task-{n:02d}" for n in range(number + 1, options.subtasks + 1)]
        letter(
            "checkpoint", completed=done, files=[f"out/{name}.txt" for name in done], next=rest[:3], data={}
        )
        print(f"finished {subtask}", flush=True)
        trouble(options, len(done))
    letter("done", summary=f"{len(done)} subtasks", exit_code=0, artifacts=[])


if __name__ == "__main__":
    main()
