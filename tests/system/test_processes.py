"""Process trees that are really there: found however they hide, ended, measured, never mistaken."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hhmrs.controller.ports import Identity
from hhmrs.controller.processes.processes import Measure, ProcessTable, alive, identify, same


@pytest.fixture
def tag() -> str:
    return f"test:{secrets.token_hex(4)}"


@pytest.fixture
def table() -> ProcessTable:
    return ProcessTable()


def stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name: state, parent, ..."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def catches(pid: int, number: int) -> bool:
    (mask,) = re.findall(r"SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    return bool(int(mask, 16) & 1 << (number - 1))


def pids(found: list[Identity]) -> list[int]:
    return [who.pid for who in found]


def test_identity_survives_a_moved_boot_time_and_nothing_else() -> None:
    who = Identity(7, 1_795_262_860.61)
    assert same(who, Identity(7, who.created))
    assert same(who, Identity(7, who.created + 1.0))
    assert not same(who, Identity(7, who.created + 0.01))
    assert not same(who, Identity(7, who.created + 60.0))
    assert not same(who, Identity(8, who.created))


def test_who_is_there_and_who_is_not(start: Callable[..., Identity]) -> None:
    who = start("sleep", "60")
    assert alive(who)
    assert abs(time.time() - who.created) < 30
    assert not alive(Identity(who.pid, who.created - 10))
    assert identify(2**22 + 5) is identify(0) is identify(-1) is None
    os.kill(who.pid, signal.SIGKILL)
    os.waitid(os.P_PID, who.pid, os.WEXITED | os.WNOWAIT)
    assert identify(who.pid) == who, "a zombie still has its pid"
    assert not alive(who), "a zombie does nothing any more"


def test_a_tree_is_listed_deepest_first(
    start: Callable[..., Identity], table: ProcessTable, wait_until: Callable[..., None]
) -> None:
    who = start("sh", "-c", "sh -c 'sleep 60 & wait' & sleep 60 & wait")
    wait_until(lambda: len(table.tree(who)) == 4)
    found = pids(table.tree(who))
    assert found[-1] == who.pid
    parents = {pid: int(stat(pid)[1]) for pid in found}
    assert all(found.index(parents[pid]) > found.index(pid) for pid in found[:-1])


ESCAPES = {
    "setsid": "setsid sleep 61 & wait",
    "nohup": "nohup sleep 62 >/dev/null 2>&1 & wait",
    "ignores TERM and HUP": "sh -c 'trap \"\" TERM HUP; while :; do sleep 1; done' & wait",
    "stopped": "sh -c 'kill -STOP $$; sleep 63' & wait",
    "double fork": "(setsid sh -c 'sleep 64 & sleep 65 &' &) ; sleep 66",
}


@pytest.mark.parametrize("how", ESCAPES)
def test_children_that_got_away_are_found_by_tag_and_ended(
    start: Callable[..., Identity], table: ProcessTable, tag: str, wait_until: Callable[..., None], how: str
) -> None:
    who = start("sh", "-c", ESCAPES[how])
    wait_until(lambda: len(table.tree(who, tag=tag)) > (3 if how == "double fork" else 1))
    found = table.tree(who, tag=tag)
    assert table.end_tree(who, grace=0.3, tag=tag) == []
    assert not any(alive(one) for one in found)
    assert table.tree(who, tag=tag) == []


def test_the_tag_alone_is_enough_after_the_root_died(
    start: Callable[..., Identity], table: ProcessTable, tag: str, wait_until: Callable[..., None]
) -> None:
    who = start("sh", "-c", "(setsid sleep 67 &); exec sleep 68")
    wait_until(lambda: len(table.tree(who, tag=tag)) == 2)
    os.kill(who.pid, signal.SIGKILL)
    wait_until(lambda: not alive(who))
    (left,) = table.tree(who, tag=tag)
    assert table.end_tagged(tag, grace=1.0) == []
    assert not alive(left)


def test_many_trees_end_together_each_with_its_strays_and_the_stubborn_ones(
    start: Callable[..., Identity], table: ProcessTable, tag: str, wait_until: Callable[..., None]
) -> None:
    quick = start("sleep", "61", tagged=False)
    deaf = start("sh", "-c", "trap '' TERM; (setsid sleep 62 &); while :; do sleep 0.05; done")
    wait_until(lambda: len(table.tree(deaf, tag=tag)) >= 3)
    bystander = start("sleep", "63", tagged=False)
    found = [quick, *table.tree(deaf, tag=tag)]
    gone = Identity(quick.pid, quick.created - 100)
    assert table.end_many([quick, deaf, gone], grace=0.3, tags=[tag, tag + "0"]) == []
    assert not any(alive(one) for one in found)
    assert alive(bystander)
    assert table.end_many([], grace=0.0, tags=[]) == []


def test_a_tag_must_be_the_whole_value(start: Callable[..., Identity], table: ProcessTable, tag: str) -> None:
    who = start("sleep", "60")
    assert pids(table.tree(who, tag=tag)) == [who.pid]
    nobody = Identity(who.pid, who.created - 10)
    for other in (tag[:-1], tag + "0", ""):
        assert table.tree(nobody, tag=other) == []


def test_term_comes_first_and_a_stopped_process_gets_to_hear_it(
    start: Callable[..., Identity], table: ProcessTable, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    mark = tmp_path / "polite"
    wait = "kill -STOP $$; while :; do sleep 0.05; done"
    who = start("sh", "-c", f"trap 'echo bye > {mark}; exit 0' TERM; {wait}")
    wait_until(lambda: stat(who.pid)[0] == "T")
    assert table.end_tree(who, grace=10.0) == []
    assert mark.read_text() == "bye\n"


@pytest.mark.parametrize("then", ["pass", "os._exit(0)"])
def test_children_born_while_their_tree_ends_are_ended_too(
    start: Callable[..., Identity], table: ProcessTable, tag: str, wait_until: Callable[..., None], then: str
) -> None:
    breeder = (
        "import os, signal, subprocess, time\n"
        "def breed(*_):\n"
        "    for _ in range(5): subprocess.Popen(['setsid', 'sleep', '69'])\n"
        f"    {then}\n"
        "signal.signal(signal.SIGTERM, breed)\n"
        "while True: time.sleep(0.1)\n"
    )
    who = start(sys.executable, "-c", breeder)
    wait_until(lambda: catches(who.pid, signal.SIGTERM))
    assert table.end_tree(who, grace=1.0, tag=tag) == []
    assert table.tree(Identity(who.pid, 0.0), tag=tag) == []


def test_another_process_under_the_same_pid_is_never_signalled(
    start: Callable[..., Identity], table: ProcessTable
) -> None:
    who = start("sleep", "60", tagged=False)
    assert table.end_tree(Identity(who.pid, who.created - 100), grace=0.0) == []
    assert alive(who)
    table.end_tree(who, grace=1.0)


def test_we_and_those_above_us_are_never_signalled(table: ProcessTable) -> None:
    me = identify(os.getpid())
    above = identify(os.getppid())
    assert me is not None
    assert above is not None
    assert table.end_tree(above, grace=0.0) == [above], "what lives on is said to live on"
    assert table.end_tree(me, grace=0.0) == [me]
    assert table.tree(above) == table.tree(me) == []


def test_spared_processes_and_what_is_under_them_stay(
    start: Callable[..., Identity], tag: str, wait_until: Callable[..., None]
) -> None:
    who = start("sh", "-c", "sh -c 'sleep 60 & wait' & sleep 60 & wait")
    plain = ProcessTable()
    wait_until(lambda: len(plain.tree(who)) == 4)
    everyone = plain.tree(who)
    inner = next(w for w in everyone if w != who and len(plain.tree(w)) == 2)
    kept = {w.pid for w in plain.tree(inner)}
    assert {w.pid for w in ProcessTable(lambda: [inner.pid]).tree(who)} == {w.pid for w in everyone} - kept


def test_a_tmux_server_under_an_agent_is_spared_and_its_panes_are_not_the_agents(
    tmux_socket: str, table: ProcessTable, start: Callable[..., Identity], wait_until: Callable[..., None]
) -> None:
    script = f"tmux -L {tmux_socket} -f /dev/null new-session -d 'exec sleep 600'; exec sleep 600"
    who = start("sh", "-c", script, tagged=False)
    asked = ["tmux", "-L", tmux_socket, "-N", "display-message", "-p", "#{pid} #{pane_pid}"]
    wait_until(lambda: subprocess.run(asked, capture_output=True, timeout=10, check=False).returncode == 0)
    answer = subprocess.run(asked, capture_output=True, timeout=10, text=True, check=True)
    server, pane = map(int, answer.stdout.split())
    owner = identify(server)
    assert owner is not None
    assert table.tree(owner) == []
    assert table.end_tree(owner, grace=0.0) == [owner]
    sleeper = identify(pane)
    assert sleeper is not None
    assert pids(table.tree(sleeper)) == [pane], "a pane is a tree of its own"
    assert table.end_tree(who, grace=1.0) == []
    assert alive(owner)
    assert alive(sleeper)
    subprocess.run(["tmux", "-L", tmux_socket, "kill-server"], timeout=10, check=True)


def test_who_merely_calls_itself_a_tmux_server_is_neither_spared_nor_overlooked(
    table: ProcessTable, start: Callable[..., Identity], tag: str, wait_until: Callable[..., None]
) -> None:
    script = "open('/proc/self/comm', 'w').write('tmux: server'); import time; time.sleep(600)"
    who = start("sh", "-c", f'"$0" -c "{script}" & wait', sys.executable)
    wait_until(lambda: "tmux: server" in map(name, pids(table.tree(who))))
    (liar,) = (one for one in table.tree(who) if name(one.pid) == "tmux: server")
    measured = [table.measure({"a": who})["a"].threads for _ in range(2)]
    assert measured[-1] == 2, "both processes of the agent, of one thread each"
    assert table.end_tree(liar, grace=0.0) == []
    assert not alive(liar)


def until_measured(
    table: ProcessTable,
    roots: dict[str, Identity],
    wait_until: Callable[..., None],
    holds: Callable[[dict[str, Measure]], object],
) -> dict[str, Measure]:
    seen: list[dict[str, Measure]] = []

    def look() -> object:
        seen.append(table.measure(roots))
        return holds(seen[-1])

    wait_until(look)
    return seen[-1]


def test_an_idle_tree_measures_nothing(
    start: Callable[..., Identity], table: ProcessTable, wait_until: Callable[..., None]
) -> None:
    who = start("sh", "-c", "sleep 60 & sleep 60 & wait")
    wait_until(lambda: len(table.tree(who)) == 3)
    table.measure({"a": who})
    found = until_measured(table, {"a": who}, wait_until, lambda m: not m["a"].cpu_grew)["a"]
    assert (found.cpu_pct, found.busy_children, found.stopped, found.threads) == (0.0, (), False, 3)
    assert 0 < found.memory_mb < 100


def test_own_work_is_cpu_and_a_childs_work_is_a_busy_child(
    start: Callable[..., Identity], table: ProcessTable, wait_until: Callable[..., None]
) -> None:
    busy = start(sys.executable, "-c", "while True: pass")
    parent = start("sh", "-c", "yes >/dev/null & wait")
    roots = {"busy": busy, "parent": parent}
    table.measure(roots)
    found = until_measured(
        table, roots, wait_until, lambda m: all([*(x.cpu_pct for x in m.values()), m["parent"].busy_children])
    )
    assert found["busy"].busy_children == ()
    assert found["busy"].cpu_grew
    (age,) = found["parent"].busy_children
    assert 0 <= age < 60


def test_a_child_that_only_moves_bytes_is_busy(
    start: Callable[..., Identity], table: ProcessTable, wait_until: Callable[..., None]
) -> None:
    writer = "import sys, time\nwhile True: sys.stdout.write('x'); sys.stdout.flush(); time.sleep(0.05)"
    who = start("sh", "-c", f'{shlex.quote(sys.executable)} -c "{writer}" & wait')
    until_measured(table, {"a": who}, wait_until, lambda m: m["a"].busy_children)


def test_a_new_child_that_does_nothing_is_not_busy(
    start: Callable[..., Identity], table: ProcessTable, wait_until: Callable[..., None]
) -> None:
    who = start("sh", "-c", "trap 'sleep 60 & wait' USR1; sleep 61 & wait; wait")

    def asleep() -> int:
        return sum(name(one.pid) == "sleep" and stat(one.pid)[0] == "S" for one in table.tree(who))

    # What a program reads while it starts is its own work; here both are to have started.
    wait_until(lambda: catches(who.pid, signal.SIGUSR1) and asleep() == 1)
    table.measure({"a": who})
    os.kill(who.pid, signal.SIGUSR1)
    wait_until(lambda: asleep() == 2)
    assert table.measure({"a": who})["a"].busy_children == ()
    assert table.measure({"a": who})["a"].busy_children == ()


def test_a_stopped_root_is_seen_and_a_dead_one_left_out(
    start: Callable[..., Identity], table: ProcessTable, wait_until: Callable[..., None]
) -> None:
    who = start("sleep", "60")
    os.kill(who.pid, signal.SIGSTOP)
    until_measured(table, {"a": who}, wait_until, lambda m: m["a"].stopped)
    assert table.measure({"a": Identity(who.pid, who.created - 9)}) == {}
    os.kill(who.pid, signal.SIGKILL)
    wait_until(lambda: not alive(who))
    assert table.measure({"a": who}) == {}


def test_what_a_process_was_started_as_names_its_program_without_the_folders(
    table: ProcessTable, tmp_path: Path
) -> None:
    folder = tmp_path / "a folder with spaces"
    folder.mkdir()
    (folder / "napper").symlink_to(shutil.which("sleep") or "/bin/sleep")
    with subprocess.Popen([str(folder / "napper"), "600"]) as napping:
        try:
            deadline = time.monotonic() + 10
            while not table.words(napping.pid):  # the kernel tells nothing of it until it has begun
                assert time.monotonic() < deadline
            assert table.words(napping.pid) == "napper 600"
        finally:
            napping.kill()
