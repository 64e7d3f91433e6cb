"""Children that went their own way are still their agent's: by what was seen, by cgroup, by environment."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hhmrs.controller.ports import Identity
from hhmrs.controller.processes import cgroups
from hhmrs.controller.processes.kinship import Families, Kinship, Marks
from hhmrs.controller.processes.measuring import Measure, Meter
from hhmrs.controller.processes.process_table import ProcessRow, read_row, read_table, read_tag
from hhmrs.controller.processes.processes import ProcessTable, alive, identify

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")

Start = Callable[..., Identity]
LEAVES = (
    "import os, sys, time\n"
    "if os.fork(): time.sleep(600)\n"
    "os.setsid()\n"
    "if os.fork(): os._exit(0)\n"
    "open(sys.argv[1] + '.new', 'w').write(str(os.getpid()))\n"
    "os.rename(sys.argv[1] + '.new', sys.argv[1])\n"
    "while True: sum(range(9999)) if len(sys.argv) > 2 else time.sleep(600)\n"
)
"""The root sleeps; its grandchild is in a session of its own, and its parent is no more."""


def number_in(path: Path, wait_until: Callable[..., None]) -> int:
    wait_until(path.exists)
    return int(path.read_text())


def end(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def test_a_child_that_left_its_session_and_parent_is_found_by_its_environment(
    start: Start, tag: str, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    who = start(sys.executable, "-c", LEAVES, str(tmp_path / "pid"), "works")
    stray = number_in(tmp_path / "pid", wait_until)
    wait_until(lambda: (row := read_row(stray)) and row.parent != who.pid)
    table, seen = ProcessTable(), []

    def busy() -> object:
        seen.append(table.measure({"a": who}, tag=lambda _: tag)["a"])
        return seen[-1].busy_children

    wait_until(busy)
    assert seen[-1].threads == 2
    assert seen[-1].cpu_grew
    without = ProcessTable()
    assert without.measure({"a": who})["a"].threads == 1, "only its mark tells whose it is"


def test_each_environment_is_read_once(
    start: Start, tag: str, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    who = start(sys.executable, "-c", LEAVES, str(tmp_path / "pid"))
    stray = number_in(tmp_path / "pid", wait_until)
    wait_until(lambda: (row := read_row(stray)) and row.parent != who.pid)
    asked: list[int] = []

    def note(pid: int) -> str | None:
        asked.append(pid)
        return read_tag(pid)

    kinship = Kinship(Marks(lambda _: "", note))

    def look() -> Families:
        rows = read_table()
        return kinship.sort({"a": rows[who.pid]}, rows, os.getpid(), lambda _: tag)

    known = set(read_table())
    assert [row.pid for row in look()["a"]] == [who.pid, stray]
    assert stray in asked
    assert os.getpid() not in asked
    look()
    asked.clear()
    assert [row.pid for row in look()["a"]] == [who.pid, stray]
    assert not known & set(asked)


def test_what_was_once_seen_in_the_tree_stays_in_it_without_any_mark(
    start: Start, tag: str, wait_until: Callable[..., None]
) -> None:
    forks = "import os, time\nos.fork() and time.sleep(600)\nwhile True: time.sleep(0.5)"
    cleared = (
        f"import os, sys\nos.setsid()\nos.execve(sys.executable, [sys.executable, '-c', {forks!r}], {{}})"
    )
    begins = "import subprocess, sys, time\nx = subprocess.Popen(sys.argv[1:])\ntime.sleep(600)"
    who = start(sys.executable, "-c", begins, sys.executable, "-c", cleared)
    table = ProcessTable()
    wait_until(lambda: len(table.tree(who)) == 3)
    (middle,) = children(who.pid)
    (last,) = children(middle)
    assert tag not in (read_tag(middle), read_tag(last))
    try:
        assert table.measure({"a": who}, tag=lambda _: tag)["a"].threads == 3
        os.kill(middle, signal.SIGKILL)
        wait_until(lambda: (row := read_row(last)) and row.parent != middle)
        assert table.measure({"a": who}, tag=lambda _: tag)["a"].threads == 2
        assert ProcessTable().measure({"a": who}, tag=lambda _: tag)["a"].threads == 1
        assert last in [one.pid for one in table.tree(who)], "and it is ended with the tree"
        assert table.end_tree(who, grace=0.2, tag=tag) == []
        assert last not in [row.pid for row in read_table().values() if not row.gone]
    finally:
        end(last)


def children(pid: int) -> list[int]:
    return [row.pid for row in read_table().values() if row.parent == pid and not row.gone]


def test_what_an_earlier_attempt_left_behind_is_not_the_new_ones_work(
    start: Start, tag: str, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    old = start(sys.executable, "-c", LEAVES, str(tmp_path / "pid"))
    number_in(tmp_path / "pid", wait_until)
    table = ProcessTable()
    wait_until(lambda: table.measure({"a": old}, tag=lambda _: tag)["a"].threads == 2)
    os.kill(old.pid, signal.SIGKILL)
    wait_until(lambda: not alive(old))
    # Start times have hundredths; the new one must not fall into the same.
    wait_until(lambda: time.time() > old.created + 0.5)
    new = start("sleep", "600")
    assert table.measure({"a": new}, tag=lambda _: tag)["a"].threads == 1


def test_a_number_that_is_used_again_is_somebody_else() -> None:
    """The rows are as one look gives them; only who has the number changed meanwhile."""

    def row(pid: int, parent: int, started: float) -> ProcessRow:
        return ProcessRow(pid, parent, "x", "S", started, 1.0, 4096, 1)

    kinship = Kinship(Marks(lambda _: "", lambda _: ""))
    root = row(10, 1, 5.0)
    first = {10: root, 11: row(11, 10, 6.0)}
    assert len(kinship.sort({"a": root}, first, 1, None)["a"]) == 2
    moved = {10: root, 11: row(11, 1, 6.0)}
    assert len(kinship.sort({"a": root}, moved, 2, None)["a"]) == 2, "it only lost its parent"
    other = {10: root, 11: row(11, 1, 7.0)}
    assert kinship.sort({"a": root}, other, 2, None)["a"] == [root]
    meter = Meter(lambda: 100.0, lambda _: None)
    meter.look({"a": [root, row(11, 10, 6.0)]})
    grown = row(11, 10, 7.0)._replace(cpu=50.0)
    assert meter.look({"a": [root, grown]})["a"].cpu_grew is False


def test_a_ring_in_a_torn_table_ends(start: Start) -> None:
    root = ProcessRow(10, 12, "x", "S", 5.0, 1.0, 4096, 1)
    table = {10: root, 11: root._replace(pid=11, parent=10), 12: root._replace(pid=12, parent=11)}
    kinship = Kinship(Marks(lambda _: "", lambda _: ""))
    assert len(kinship.sort({"a": root}, table, 1, None)["a"]) == 3


def test_processes_that_come_and_go_during_the_look_do_no_harm(start: Start, tag: str) -> None:
    churn = "while :; do /bin/true & /bin/true & wait; done"
    roots = {name: start("sh", "-c", churn) for name in ("a", "b", "c")}
    table = ProcessTable()
    found: list[dict[str, Measure]] = [table.measure(roots, tag=lambda _: tag) for _ in range(30)]
    assert all(set(one) == set(roots) for one in found)


# -- cgroups --------------------------------------------------------------------------------------


@pytest.fixture
def delegated(request: pytest.FixtureRequest) -> Iterator[str]:
    """A cgroup that is ours to divide, and what remains in it ended."""
    top = cgroups.hierarchy()
    if top is None:
        pytest.skip("no cgroups of the second version are mounted")
    group = f"/hhmrs-test-{secrets.token_hex(4)}"
    folder = top / group[1:]
    try:
        folder.mkdir()
        if os.geteuid() == 0:
            os.setxattr(folder, "user.delegate", b"1")
    except OSError as error:
        pytest.skip(f"no cgroup can be made here: {error.strerror}")
    yield group
    for pid in cgroups.members(group):
        end(pid)
    deadline = time.monotonic() + 10
    while cgroups.members(group) and time.monotonic() < deadline:
        time.sleep(0.01)
    for inner in [one for one in folder.iterdir() if one.is_dir()]:
        inner.rmdir()
    folder.rmdir()


ALONE = (
    "import os, sys, time\n"
    "sys.stdin.read()\n"
    "if os.fork(): time.sleep(600)\n"
    "os.setsid()\n"
    "if os.fork(): os._exit(0)\n"
    "os.execve('/bin/sleep', ['sleep', '600'], {})\n"
)


def test_a_cgroup_of_its_own_finds_a_child_that_nobody_saw_and_that_carries_nothing(
    delegated: str, tag: str, wait_until: Callable[..., None]
) -> None:
    argv = [sys.executable, "-c", ALONE]
    process = subprocess.Popen(argv, env={**os.environ, "HHMRS_TOKEN": tag}, stdin=subprocess.PIPE)
    who = identify(process.pid)
    assert who is not None
    assert process.stdin is not None
    top = cgroups.hierarchy()
    assert top is not None
    (top / delegated[1:] / "cgroup.procs").write_text(str(who.pid))
    group = cgroups.make_own(who.pid, "fleet.agent")
    assert group == f"{delegated}/hhmrs-fleet.agent-{who.pid}.agent"
    assert cgroups.make_own(who.pid, "fleet.agent") == "", "it has one already"
    process.stdin.close()
    wait_until(lambda: any(name(pid) == "sleep" for pid in cgroups.members(group)))
    (stray,) = [pid for pid in cgroups.members(group) if name(pid) == "sleep"]
    wait_until(lambda: (row := read_row(stray)) and row.parent != who.pid)
    table = ProcessTable()
    assert read_tag(stray) != tag
    assert table.measure({"a": who}, tag=lambda _: tag)["a"].threads == 2
    assert "cgroup" in table.means()[0].how
    assert table.end_tree(who, grace=0.2, tag=tag) == []
    process.wait(10)
    wait_until(lambda: (row := read_row(stray)) is None or row.gone)
    assert not (top / group[1:]).exists()


def name(pid: int) -> str:
    row = read_row(pid)
    return row.name if row else ""


def test_a_cgroup_that_is_shared_says_nothing(start: Start, delegated: str) -> None:
    one, other = start("sleep", "600"), start("sleep", "600")
    bare = start("sleep", "600", HHMRS_TOKEN="")
    top = cgroups.hierarchy()
    assert top is not None
    for who in (one, other, bare):
        (top / delegated[1:] / "cgroup.procs").write_text(str(who.pid))
    marks = Marks(cgroups.group_of, lambda _: "")
    rows = read_table()
    roots = {"a": rows[one.pid], "b": rows[other.pid]}
    me = os.getpid()
    # As if it had lost its parent; ours are not the agent's.
    rows[bare.pid] = rows[bare.pid]._replace(parent=1)
    shared = Kinship(marks).sort(roots, rows, me, None)
    assert [len(family) for family in shared.values()] == [1, 1]
    alone = Kinship(marks).sort(
        {"a": roots["a"]}, {k: v for k, v in rows.items() if k != other.pid}, me, None
    )
    assert [row.pid for row in alone["a"]] == [one.pid, bare.pid]


def test_where_no_cgroup_is_delegated_none_is_made(start: Start) -> None:
    who = start("sleep", "600")
    before = cgroups.group_of(who.pid)
    if before and cgroups.make_own(who.pid, "fleet.agent"):
        pytest.skip("this very test runs in a cgroup that is delegated to it")
    assert cgroups.group_of(who.pid) == before
    assert cgroups.make_own(2**22 + 5, "fleet.agent") == ""
    assert cgroups.members("/../..") == cgroups.members("/no/such") == []


def test_paths_of_cgroups() -> None:
    assert list(cgroups.upwards("/a/b")) == ["/a/b", "/a"]
    assert list(cgroups.upwards("systemd:/a")) == ["systemd:/a"]
    assert list(cgroups.upwards("")) == []
    assert cgroups.within("/a/b/c", {"/a/b": 1, "/a": 2}) == 1
    assert cgroups.within("/ab", {"/a": 2}) is None
    assert cgroups.OWN.fullmatch("tmux-spawn-0b1c.scope")
    assert not cgroups.OWN.fullmatch("session-3.scope")
