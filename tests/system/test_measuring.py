"""What a look at a process tree says, and what it leaves open; real processes in every state."""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hhmrs.controller.ports import Identity
from hhmrs.controller.processes.measuring import Measure, Meter
from hhmrs.controller.processes.process_table import TableReader, moved_bytes, read_row, read_table
from hhmrs.controller.processes.processes import READ_ALL_EVERY, ProcessTable, alive

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")

Start = Callable[..., Identity]
ATTACH, DETACH = 16, 17
AS_NOBODY = (
    "import os, sys",
    "from hhmrs.controller.processes.process_table import moved_bytes",
    "os.setuid(65534)",
    "print(moved_bytes(int(sys.argv[1])))",
)
WRITES = "import sys, time\nwhile True: sys.stdout.write('x'); sys.stdout.flush(); time.sleep(0.02)"


def state(pid: int) -> str:
    row = read_row(pid)
    return row.state if row else ""


def below(who: Identity) -> list[int]:
    return [one.pid for one in ProcessTable().tree(who) if one != who]


def test_a_stopped_child_is_named_and_does_not_count_as_a_stopped_agent(
    start: Start, wait_until: Callable[..., None]
) -> None:
    who = start("sh", "-c", "sleep 600 & sleep 600 & wait")
    wait_until(lambda: len(below(who)) == 2)
    table, child = ProcessTable(), below(who)[0]
    assert table.measure({"a": who})["a"].stopped_child == ""
    os.kill(child, signal.SIGSTOP)
    wait_until(lambda: state(child) == "T")
    found = table.measure({"a": who})["a"]
    assert found.stopped_child == f"sleep (pid {child})"
    assert not found.stopped
    os.kill(child, signal.SIGCONT)
    wait_until(lambda: state(child) == "S")
    assert table.measure({"a": who})["a"].stopped_child == ""


def test_what_a_process_calls_itself_is_shown_harmlessly(
    start: Start, wait_until: Callable[..., None]
) -> None:
    rude = "import time\nopen('/proc/self/comm', 'wb').write(b'a\\x1b[31m)(')\ntime.sleep(600)"
    who = start("sh", "-c", f"{shlex.quote(sys.executable)} -c {shlex.quote(rude)} & wait")
    wait_until(lambda: any((row := read_row(pid)) and "\x1b" in row.name for pid in below(who)))
    (child,) = below(who)
    os.kill(child, signal.SIGSTOP)
    wait_until(lambda: state(child) == "T")
    assert ProcessTable().measure({"a": who})["a"].stopped_child == f"a?[31m)( (pid {child})"


def test_a_process_under_a_debugger_was_not_stopped_by_anybody(
    start: Start, wait_until: Callable[..., None]
) -> None:
    who = start("sleep", "600")
    kernel = ctypes.CDLL(None, use_errno=True)
    if kernel.ptrace(ATTACH, who.pid, None, None) != 0:
        pytest.skip(f"nothing may be traced here: {os.strerror(ctypes.get_errno())}")
    try:
        wait_until(lambda: state(who.pid) == "t")
        found = ProcessTable().measure({"a": who})["a"]
        assert (found.stopped, found.stopped_child) == (False, "")
    finally:
        os.waitpid(who.pid, os.WUNTRACED)
        kernel.ptrace(DETACH, who.pid, None, None)


def test_a_dead_child_that_nobody_waits_for_counts_for_nothing(
    start: Start, wait_until: Callable[..., None]
) -> None:
    forks = "import os, time\nos.fork() or (sum(range(10**7)), os._exit(0))\ntime.sleep(600)"
    who = start(sys.executable, "-c", forks)
    wait_until(lambda: any(row.parent == who.pid and row.gone for row in read_table().values()))
    table = ProcessTable()
    first, second = (table.measure({"a": who})["a"] for _ in range(2))
    assert first.threads == second.threads == 1
    assert second.busy_children == ()


def test_bytes_moved_are_counted_and_what_may_not_be_asked_is_unknown(
    start: Start, wait_until: Callable[..., None]
) -> None:
    who = start("sh", "-c", f"{shlex.quote(sys.executable)} -c {shlex.quote(WRITES)} & wait")
    table = ProcessTable()
    seen: list[int | None] = []

    def grew() -> bool:
        seen.append(table.measure({"a": who})["a"].moved)
        return None not in (seen[0], seen[-1]) and seen[-1] != seen[0]

    wait_until(grew)
    rows = {"a": [read_table()[who.pid]]}
    assert Meter(lambda: 0.0, lambda _: None).look(rows)["a"].moved is None
    if os.geteuid() != 0:
        assert moved_bytes(1) is None
        return
    other = "\n".join(AS_NOBODY)
    argv = [sys.executable, "-c", other, str(who.pid)]
    assert subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30).stdout == "None\n"


def test_what_could_not_be_asked_before_did_not_grow_by_being_asked(start: Start) -> None:
    who = start("sleep", "600")
    root = read_table()[who.pid]
    answers: list[int | None] = [None, 5000, 6000, None, 7000]
    said = iter(answers)
    meter = Meter(lambda: 0.0, lambda pid: 1 if pid == root.pid else next(said))
    family = {"a": [root, root._replace(pid=1)]}
    busy = [bool(meter.look(family)["a"].busy_children) for _ in answers]
    assert busy == [False, False, True, False, False]


def test_when_many_wait_to_be_asked_they_take_turns_and_claim_no_more_than_is_known(start: Start) -> None:
    roots = {name: start("sleep", "600") for name in ("a", "b", "c")}
    row = read_table()[roots["a"].pid]
    families = {
        name: [row._replace(pid=10 * n), row._replace(pid=10 * n + 1)]
        for n, name in enumerate(roots, start=1)
    }
    moved: dict[int, int] = dict.fromkeys((10, 11, 20, 21, 30, 31), 1000)
    asked: list[int] = []

    def ask(pid: int) -> int:
        asked.append(pid)
        return moved[pid]

    meter = Meter(lambda: 0.0, ask, io_reads=2)
    for number in range(3):
        meter.look(families, float(number))
    assert asked == [10, 11, 20, 21, 30, 31]
    moved[21] += 1
    del asked[:]
    quiet = [meter.look(families, 3.0 + number) for number in range(3)]
    assert len(asked) == 6 - 3 + 3, "roots whose answer changes nothing are passed over"
    told = [name for look in quiet for name, m in look.items() if m.busy_children]
    assert told == ["b"]
    (found,) = [m for look in quiet for m in look.values() if m.busy_children]
    assert found.window >= 2.0, "it may have been at any time since it was asked before"


def test_an_idle_process_is_the_same_row_again(start: Start, wait_until: Callable[..., None]) -> None:
    who = start("sleep", "600")
    wait_until(lambda: state(who.pid) == "S" and (row := read_row(who.pid)) and row.name == "sleep")
    reader = TableReader()
    assert reader.read()[who.pid] is reader.read()[who.pid]
    os.kill(who.pid, signal.SIGSTOP)
    wait_until(lambda: state(who.pid) == "T")
    assert reader.read()[who.pid].stopped


def test_what_is_nobodys_is_read_now_and_then_and_an_agents_processes_always(
    start: Start, wait_until: Callable[..., None]
) -> None:
    who = start("sleep", "600")
    wait_until(lambda: state(who.pid) == "S")
    reader = TableReader()
    reader.read()
    os.kill(who.pid, signal.SIGSTOP)
    wait_until(lambda: state(who.pid) == "T")
    assert not reader.read({who.pid})[who.pid].stopped, "its old row will do"
    assert reader.read()[who.pid].stopped
    table = ProcessTable()
    for _ in range(2 * READ_ALL_EVERY + 1):  # the next look is not one that reads all
        table.measure({})
    for number in range(2 * READ_ALL_EVERY):
        os.kill(who.pid, signal.SIGCONT if number % 2 == 0 else signal.SIGSTOP)
        expected = "S" if number % 2 == 0 else "T"
        wait_until(lambda expected=expected: state(who.pid) == expected)
        assert table.measure({"a": who})["a"].stopped is (expected == "T")
    os.kill(who.pid, signal.SIGKILL)
    wait_until(lambda: not alive(who))
    assert who.pid not in reader.read({who.pid}) or reader.read()[who.pid].gone


def test_where_there_is_no_proc_psutil_stands_in(start: Start, wait_until: Callable[..., None]) -> None:
    who = start("sh", "-c", "yes >/dev/null & sleep 600 & wait")
    table, seen = ProcessTable(on_proc=False), list[Measure]()

    def busy() -> object:
        seen.append(table.measure({"a": who}, tag=lambda _: "test:none")["a"])
        return seen[-1].busy_children

    wait_until(busy)
    assert seen[-1].threads == 3
    (means,) = table.means()
    assert (means.source, means.full) == ("processes", False)
    assert "/proc" in means.why
    os.kill(who.pid, signal.SIGKILL)
    wait_until(lambda: not alive(who))
    assert table.measure({"a": who}) == {}


HIDDEN = """
import os, subprocess, sys, time
from hhmrs.controller.processes.process_table import read_table
from hhmrs.controller.processes.processes import ProcessTable, identify
root = subprocess.Popen(["sleep", "600"])
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
ours = subprocess.Popen(["sh", "-c", "sleep 600 & wait"])
table, who, end = ProcessTable(), None, time.monotonic() + 10
while who is None and time.monotonic() < end:
    who = identify(ours.pid)
while table.measure({"a": who}, tag=lambda _: "x")["a"].threads != 2 and time.monotonic() < end:
    time.sleep(0.01)
(means,) = table.means()
print(table.measure({"a": who})["a"].threads, root.pid in read_table(), means.full, "hidepid" in means.why)
"""


def test_a_proc_that_hides_other_users_hides_no_agent_and_it_is_said(tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("mounting /proc anew takes root and unshare")
    mount = 'mount -o remount,hidepid=2 /proc && "$0" -c "$1"; exit $?'
    argv = ["unshare", "-m", "-p", "--fork", "--mount-proc", "sh", "-c", mount, sys.executable, HIDDEN]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, cwd="/")
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"/proc cannot be mounted anew here: {done.stderr.strip()}")
    assert done.stdout.split() == ["2", "False", "False", "True"], done.stderr
