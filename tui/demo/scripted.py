"""A scripted agent: small real work on real files, and one kind of trouble on purpose.

    python scripted.py --role parser --trouble nudge [--subtasks 10] [--pace 0.3] [--after 3] [--seat 0]

It needs nothing but the standard library, and little of that, because a fleet of them starts at once.
Work is cut into subtasks `<role>-01`, `<role>-02`, ... Each writes its files, then one line to
`journal.jsonl` in the workspace (fsynced: whoever looks from outside can count that every subtask was done
once), then a checkpoint letter. A later attempt goes on after what $HHMRS_CHECKPOINT says is completed; the
first journal line of an attempt says in `resumed` what that was, and in `found` what the journal alone knew
(an attempt that was ended between the two writes).

Trouble comes after `--after` subtasks, or before the first where it says so, and only in the attempt or on
the seat named:

    none      works and is done
    nudge     attempt 1 falls silent and waits for a line on its stdin, then goes on
    resume    attempt 1 kills itself with SIGKILL
    restart   attempt 1 starts with a broken plan, has done nothing, and does not react to anything
    reassign  seat 0 crashes before the first subtask, in every attempt; another seat works
    escalate  every seat crashes before the first subtask, in every attempt
    loop      attempt 1 repeats one line and beats for ever
    limit     says that its usage limit resets in 8 seconds, waits that long, goes on
    ask       asks a question and waits for the answer on its stdin
    runaway   attempt 1 leaves a child that ignores SIGTERM in a session of its own, then kills itself
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

sys.dont_write_bytecode = True

JOURNAL = "journal.jsonl"
RUNAWAY = "runaway.json"
BEAT_EVERY = 0.4
LIMIT_SECONDS = 8
LIFETIME = 3600
"""Seconds after which the system ends any scripted agent: none may outlive a demo that was itself killed."""
TROUBLES = ("none", "nudge", "resume", "restart", "reassign", "escalate", "loop", "limit", "ask", "runaway")


class Desk:
    """One attempt of one agent: where it works, whom it writes to, and how far it is."""

    def __init__(self, options: dict[str, str], env: dict[str, str]) -> None:
        self.role = options["role"]
        self.trouble = options["trouble"]
        self.after = int(options["after"])
        self.pace = float(options["pace"])
        self.seat = int(options["seat"])
        self.plan = [f"{self.role}-{n:02d}" for n in range(1, int(options["subtasks"]) + 1)]
        self.agent = env.get("HHMRS_AGENT", self.role)
        self.attempt = int(env.get("HHMRS_ATTEMPT", "1"))
        self.workspace = Path(env.get("HHMRS_WORKSPACE", ".")).absolute()
        self.inbox = env.get("HHMRS_INBOX", "")
        self.resumed = _completed(env.get("HHMRS_CHECKPOINT", ""))
        self.found = [name for name in _journaled(self.workspace) if name not in self.resumed]
        self.done = [*self.resumed, *self.found]
        self.files: list[str] = []
        self.order = "name"
        self._letters = 0
        self._first_line = True

    def letter(self, kind: str, **fields: object) -> None:
        """Put one letter into the inbox: written beside it, then renamed in. Without an inbox: nothing."""
        if not self.inbox:
            return
        self._letters += 1
        name = f"{time.time_ns()}.{os.getpid()}.{self._letters}.json"
        body = {"kind": kind, "agent": self.agent, "attempt": self.attempt, "at": _stamp(), **fields}
        draft = Path(self.inbox, "tmp", name)
        _store(draft, json.dumps(body))
        draft.rename(Path(self.inbox, "new", name))

    def beat(self, message: str, state: str = "executing") -> None:
        share = round(len(self.done) / max(1, len(self.plan)), 3)
        self.letter("beat", state=state, progress=share, message=message)

    def write(self, name: str, text: str) -> None:
        """Write a file of the workspace."""
        _store(self.workspace / name, text)
        if name not in self.files:
            self.files.append(name)

    def work_for(self, seconds: float, message: str) -> None:
        """Let time pass as work does, beating all the while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.beat(message)
            time.sleep(min(BEAT_EVERY, left))

    def finish(self, subtask: str, result: str) -> None:
        """Journal first, checkpoint second: an entry is never missing for what a checkpoint promises."""
        entry: dict[str, object] = {"subtask": subtask, "attempt": self.attempt, "at": _stamp()}
        if self._first_line:
            entry["resumed"] = self.resumed
            entry["found"] = self.found
            entry["runaway_alive"] = _runaway_alive(self.workspace)
        entry["result"] = result
        _append(self.workspace / JOURNAL, json.dumps(entry) + "\n")
        self._first_line = False
        self.done.append(subtask)
        rest = [s for s in self.plan if s not in self.done]
        data = {"order": self.order}
        self.letter("checkpoint", completed=self.done, files=self.files, next=rest[:3], data=data)
        print(f"[{len(self.done)}/{len(self.plan)}] {subtask}: {result}", flush=True)


def _stamp() -> str:
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"


def _store(path: Path, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as out:
        out.write(text)


def _append(path: Path, line: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    try:
        os.write(fd, line.encode())
        os.fsync(fd)
    finally:
        os.close(fd)


def _completed(checkpoint: str) -> list[str]:
    """What the checkpoint file says is done; nothing when there is none or it cannot be read."""
    if not checkpoint:
        return []
    try:
        return [str(name) for name in json.loads(Path(checkpoint).read_bytes())["completed"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"the checkpoint {checkpoint} is of no use ({error}); starting over", flush=True)
        return []


def _journaled(workspace: Path) -> list[str]:
    """The subtasks that earlier attempts wrote down, in their order. A torn line counts for nothing."""
    names: list[str] = []
    try:
        lines = (workspace / JOURNAL).read_text(encoding="utf-8").splitlines()
        names.extend(str(json.loads(line)["subtask"]) for line in lines)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return names


# --- the work ------------------------------------------------------------------------------------------

FIELDS = (
    ("integer", "int(text)", "42", 42),
    ("decimal", "float(text)", "2.5", 2.5),
    ("boolean", "{'yes': True, 'no': False}[text]", "yes", True),
    ("percent", "float(text.removesuffix('%')) / 100", "25%", 0.25),
    ("pair", "tuple(text.split('=', 1))", "a=b", ("a", "b")),
    ("words", "text.split()", "one two", ["one", "two"]),
    ("hours", "int(text.removesuffix('h')) * 3600", "2h", 7200),
    ("version", "tuple(int(part) for part in text.split('.'))", "1.2.3", (1, 2, 3)),
    ("span", "range(*(int(end) for end in text.split('-')))", "3-9", range(3, 9)),
    ("flag", "text.removeprefix('--')", "--json", "json"),
)


def parser(desk: Desk, number: int) -> str:
    """Write one module of a small parser and try it on a sample."""
    name, expression, sample, expected = FIELDS[(number - 1) % len(FIELDS)]
    module = f"field_{number:02d}_{name}.py"
    desk.write(module, f'"""Parses one {name}."""\n\n\ndef parse(text):\n    return {expression}\n')
    written = ModuleType(name)
    SourceFileLoader(name, str(desk.workspace / module)).exec_module(written)
    if written.parse(sample) != expected:
        raise ValueError(f"the {name} parser does not read {sample!r}")
    return f"{name} parser reads {sample!r}"


def sorter(desk: Desk, number: int) -> str:
    """Make a data set from a seed, sort it, store it."""
    seed, values = number, []
    for _ in range(400):
        seed = (seed * 1103515245 + 12345) % 2**31
        values.append(seed % 10_000)
    values.sort()
    desk.write(f"set_{number:02d}.csv", "\n".join(str(value) for value in values) + "\n")
    return f"{len(values)} values in order, median {values[len(values) // 2]}"


def checksums(desk: Desk, number: int) -> str:
    """Write a block of text and its SHA-256."""
    block = "".join(f"block {number} line {line}\n" for line in range(200 * number))
    digest = hashlib.sha256(block.encode()).hexdigest()
    desk.write(f"block_{number:02d}.txt", block)
    desk.write(f"block_{number:02d}.sha256", digest + "\n")
    return f"{len(block)} bytes, sha256 {digest[:12]}"


def docs(desk: Desk, number: int) -> str:
    """Write one page and the index of all pages, in the order that was asked for."""
    lines = [f"{n}. Point {n} of page {number}." for n in range(1, 2 + number % 5)]
    desk.write(f"page_{number:02d}.md", "\n".join([f"# Page {number}", "", *lines, ""]))
    pages = sorted(desk.workspace.glob("page_*.md"))
    if desk.order == "size":
        pages.sort(key=lambda page: page.stat().st_size)
    desk.write(
        "index.md", "\n".join(["# Index", "", *(f"- [{page.stem}]({page.name})" for page in pages), ""])
    )
    return f"page of {len(lines)} points, index of {len(pages)} by {desk.order}"


def report(desk: Desk, number: int) -> str:
    """Look at the journals of all workspaces beside one's own and write down how far each is."""
    workspaces = sorted(path for path in desk.workspace.parent.iterdir() if path.is_dir())
    rows = [f"| {path.name} | {len(_journaled(path))} |" for path in workspaces]
    desk.write(f"report_{number:02d}.md", "\n".join(["| workspace | subtasks |", "|---|---|", *rows, ""]))
    return f"looked at {len(rows)} workspaces"


ROLES: dict[str, Callable[[Desk, int], str]] = {
    "parser": parser,
    "sorter": sorter,
    "checksums": checksums,
    "docs": docs,
    "report": report,
}

# --- the trouble ---------------------------------------------------------------------------------------


def wait_for_line() -> str:
    """The next line typed into the pane. At the end of stdin there is nobody to wait for: stay silent."""
    line = sys.stdin.readline()
    while not line:
        signal.pause()
    return line.strip()


def before_work(desk: Desk) -> None:
    """The troubles that leave nothing behind: no file, no letter."""
    if desk.trouble == "restart" and desk.attempt == 1:
        print("the plan points behind its own end; waiting for a lock that nobody holds", flush=True)
        while True:
            signal.pause()
    if desk.trouble == "escalate" or (desk.trouble == "reassign" and desk.seat == 0):
        sys.exit(f"seat {desk.seat} cannot start: this model has no such tool (attempt {desk.attempt})")


def nudge(_: Desk) -> None:
    print("thinking about what comes next", flush=True)
    wait_for_line()
    print("somebody wrote to me; going on with the work", flush=True)


def kill_itself(_: Desk) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def loop(desk: Desk) -> None:
    while True:
        print("Trying once more to read the same file ...", flush=True)
        desk.beat("reading a file")
        time.sleep(BEAT_EVERY)


def limit(desk: Desk) -> None:
    print(f"usage limit reached, resets in {LIMIT_SECONDS} seconds", flush=True)
    start = time.monotonic()
    # Beats for a while, so that the screen can be read twice before the silence begins.
    while (passed := time.monotonic() - start) < LIMIT_SECONDS:
        if passed < LIMIT_SECONDS / 2:
            desk.beat("waiting for the provider", state="monitoring")
        time.sleep(BEAT_EVERY)
    print("\x1b[2J\x1b[Hthe provider answers again; going on with the work", flush=True)


def ask(desk: Desk) -> None:
    question = "In which order shall the index list the pages?"
    print(question + " [name, size]", flush=True)
    desk.letter("ask", question=question, options=["name", "size"])
    answer = wait_for_line()
    desk.order = answer if answer in ("name", "size") else "name"
    print(f"listing the pages by {desk.order}", flush=True)


def runaway(desk: Desk) -> None:
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.setsid()
        for name in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(name, signal.SIG_IGN)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        signal.alarm(LIFETIME)
        while True:
            signal.pause()
    desk.write(RUNAWAY, json.dumps({"pid": child, "at": time.time()}))
    kill_itself(desk)


def _runaway_alive(workspace: Path) -> bool | None:
    """Whether the child that an earlier attempt left still runs; None when none was left."""
    try:
        pid = int(json.loads((workspace / RUNAWAY).read_bytes())["pid"])
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, ValueError, KeyError):
        return None
    try:
        # A dead process that nobody has reaped yet still answers to signal 0.
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return not Path("/proc/self/stat").exists()


MID_WORK: dict[str, Callable[[Desk], None]] = {
    "nudge": nudge,
    "resume": kill_itself,
    "loop": loop,
    "limit": limit,
    "ask": ask,
    "runaway": runaway,
}


def options_of(argv: list[str]) -> dict[str, str]:
    """`--name value` pairs over the defaults. Exits 2 with one line on anything else."""
    options = {"role": "", "trouble": "none", "subtasks": "10", "pace": "0.3", "after": "3", "seat": "0"}
    names, values = argv[0::2], argv[1::2]
    unknown = [name for name in names if name.removeprefix("--") not in options or not name.startswith("--")]
    if unknown or len(names) != len(values):
        _usage(f"expected --name value pairs, got {unknown[0] if unknown else argv[-1]!r}")
    options.update({name.removeprefix("--"): value for name, value in zip(names, values, strict=True)})
    if options["role"] not in ROLES:
        _usage(f"--role must be one of {', '.join(ROLES)}")
    if options["trouble"] not in TROUBLES:
        _usage(f"--trouble must be one of {', '.join(TROUBLES)}")
    return options


def _usage(problem: str) -> None:
    print(f"scripted agent: {problem}", file=sys.stderr)
    sys.exit(2)


def main(argv: list[str]) -> int:
    options = options_of(argv)
    signal.alarm(LIFETIME)
    desk = Desk(options, dict(os.environ))
    print(
        f"{desk.agent}: attempt {desk.attempt}, seat {desk.seat}, {len(desk.done)} subtasks already done",
        flush=True,
    )
    before_work(desk)
    for number, subtask in enumerate(desk.plan, start=1):
        if subtask in desk.done:
            continue
        if number == desk.after + 1 and desk.attempt == 1 and desk.trouble in MID_WORK:
            MID_WORK[desk.trouble](desk)
        desk.work_for(desk.pace, f"working on {subtask}")
        desk.finish(subtask, ROLES[desk.role](desk, number))
    desk.letter("done", summary=f"{len(desk.done)} subtasks done", exit_code=0, artifacts=desk.files)
    print(f"done: {len(desk.done)} subtasks", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
