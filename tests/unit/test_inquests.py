"""What the system says of a death: the kernel's log, a cgroup's count, pressure, and a limit's end."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from hhmrs.config.fleet import ExitRule
from hhmrs.config.profiles import builtin_profiles
from hhmrs.controller.clock import SteadyClock
from hhmrs.controller.ports import Identity
from hhmrs.controller.processes import cgroups
from hhmrs.controller.processes.kernel_log import FRESH, VARIABLE, KernelLog
from hhmrs.controller.terminals.inquests import Inquests

SYSLOG = "Nov 21 17:00:00 host kernel: [18420.241042] "
KILLED = "Out of memory: Killed process {pid} (python3) total-vm:1kB, anon-rss:1kB, UID:0 oom_score_adj:0"
IN_GROUP = "Memory cgroup out of memory: Killed process {pid} (node) total-vm:1kB, anon-rss:1kB"
ME = Identity(os.getpid(), 0.0)


def append(path: Path, *lines: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))


@pytest.fixture
def syslog(tmp_path: Path) -> Path:
    path = tmp_path / "kern.log"
    append(path, SYSLOG + KILLED.format(pid=11), "Nov 21 host cron: something else")
    return path


@pytest.mark.parametrize("words", [KILLED, IN_GROUP])
def test_a_kill_for_want_of_memory_is_read_from_the_kernels_words(syslog: Path, words: str) -> None:
    log = KernelLog(syslog)
    assert log.killed(77) == ""
    append(syslog, SYSLOG + words.format(pid=77), SYSLOG + "eth0: link up")
    assert log.killed(77) == words.format(pid=77)
    assert log.killed(78) == ""


def test_what_was_there_before_us_is_about_somebody_else(syslog: Path) -> None:
    assert KernelLog(syslog).killed(11) == ""


@pytest.mark.parametrize(
    "line",
    [
        "Nov 21 host myapp: " + KILLED.format(pid=77),  # not the kernel's word
        SYSLOG + "python3[5]: segfault at 0; Out of memory: Killed process 77 (x",
        SYSLOG + "Out of memory: Kill process 177 (Killed process 77 (x",
        KILLED.format(pid=77),
    ],
)
def test_nobody_else_can_say_so(syslog: Path, line: str) -> None:
    log = KernelLog(syslog)
    append(syslog, line)
    assert log.killed(77) == ""


def test_half_a_line_waits_for_its_other_half(syslog: Path) -> None:
    log, line = KernelLog(syslog), SYSLOG + KILLED.format(pid=77)
    with syslog.open("a") as file:
        file.write(line[:60])
    assert log.killed(77) == ""
    append(syslog, line[60:])
    assert log.killed(77)


def test_a_log_that_was_rotated_is_read_on(syslog: Path) -> None:
    log = KernelLog(syslog)
    append(syslog, SYSLOG + KILLED.format(pid=77))
    syslog.rename(syslog.with_suffix(".1"))
    append(syslog, SYSLOG + KILLED.format(pid=78))
    assert log.killed(77)
    assert log.killed(78)


def test_a_number_that_is_used_again_is_another_process(syslog: Path) -> None:
    now = [100.0]
    log = KernelLog(syslog, lambda: now[0])
    append(syslog, SYSLOG + KILLED.format(pid=77))
    assert log.killed(77)
    now[0] += FRESH + 1
    assert log.killed(77) == ""


@pytest.mark.parametrize("kind", ["missing", "folder", "fifo"])
def test_a_log_that_cannot_be_read_says_nothing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "log"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    log = KernelLog(path)
    assert log.killed(77) == ""
    assert log.why or kind == "folder"


def test_the_real_kernel_log_can_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    log = KernelLog()
    assert log.killed(os.getpid()) == ""
    log.close()


def test_who_writes_to_the_kernels_log_does_not_write_in_its_name() -> None:
    log = KernelLog()
    if log.why:
        pytest.skip(f"the kernel's log may not be read here: {log.why}")
    try:
        fd = os.open("/dev/kmsg", os.O_WRONLY)
    except OSError:
        pytest.skip("nobody may write to the kernel's log here")
    pid = 4_111_000_000 + int(time.time()) % 1_000_000
    os.write(fd, f"<4>{KILLED.format(pid=pid)} (a test of hhmrs)\n".encode())
    os.close(fd)
    assert log.killed(pid) == ""


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as that of an agent's own cgroup, with the kernel's file of events in it."""
    folder = tmp_path / "cgroup" / "hhmrs-f.a-1.agent"
    folder.mkdir(parents=True)
    monkeypatch.setattr(cgroups, "hierarchy", lambda: tmp_path / "cgroup")
    monkeypatch.setattr(cgroups, "own_group", lambda _: f"/{folder.name}")
    events = folder / "memory.events"
    events.write_text("low 0\nhigh 3\nmax 9\noom 4\noom_kill 2\noom_group_kill 0\n")
    return events


def test_a_kill_in_its_own_cgroup_is_counted_from_its_beginning(group: Path, syslog: Path) -> None:
    inquests = Inquests(SteadyClock(), KernelLog(syslog))
    inquests.begin("a", ME)
    assert inquests.end("a", None, 9, ()).oom == ""
    inquests.begin("a", ME)
    group.write_text("oom 5\noom_kill 3\n")
    assert inquests.end("a", None, 9, ()).oom.startswith("the kernel killed 1 of its processes")


@pytest.mark.parametrize("text", ["", "oom_kill\n", "oom_kill x\n", "\udcff"])
def test_a_cgroup_that_says_nothing_says_nothing(group: Path, syslog: Path, text: str) -> None:
    inquests = Inquests(SteadyClock(), KernelLog(syslog))
    inquests.begin("a", ME)
    group.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert inquests.end("a", None, 9, ()).oom == ""


def test_a_good_end_needs_no_inquest(syslog: Path) -> None:
    inquests = Inquests(SteadyClock(), KernelLog(syslog))
    inquests.begin("a", ME)
    append(syslog, SYSLOG + KILLED.format(pid=ME.pid))
    assert inquests.end("a", 0, None, ()).oom == ""
    assert inquests.end("a", 1, None, ()).oom == "", "nobody watched it"


@pytest.mark.parametrize(
    ("text", "share"),
    [("some avg10=12.50 avg60=1.00 avg300=0.00 total=9\nfull avg10=9.00\n", 12.5), ("nonsense\n", None)],
)
def test_how_short_of_memory_the_host_is(
    tmp_path: Path, syslog: Path, text: str, share: float | None
) -> None:
    (tmp_path / "memory").write_text(text)
    inquests = Inquests(SteadyClock(), KernelLog(syslog), tmp_path / "memory")
    inquests.begin("a", ME)
    assert inquests.end("a", 130, None, ()).pressure == share


def test_without_pressure_nothing_is_known_of_it(tmp_path: Path, syslog: Path) -> None:
    inquests = Inquests(SteadyClock(), KernelLog(syslog), tmp_path / "memory")
    inquests.begin("a", ME)
    assert inquests.end("a", 130, None, ()).pressure is None


@pytest.mark.parametrize(
    ("profile", "said", "seconds"),
    [
        ("claude", "You've hit your limit · resets in 2h 5m", 7500),
        ("claude", "Claude AI usage limit reached|EPOCH", 90_000),
        ("codex", "ERROR: You’ve hit your usage limit. Upgrade or try again at 3h 0m.", 10_800),
        ("gemini", "Usage limit reached for x.\nAccess resets at 45m.", 2700),
        ("codex", "ERROR: You’ve hit your usage limit. Try again later.", None),
        ("shell", "resets in 2h", None),
    ],
)
def test_when_the_limit_of_its_last_words_ends(
    syslog: Path, profile: str, said: str, seconds: float | None
) -> None:
    clock = SteadyClock()
    inquests = Inquests(clock, KernelLog(syslog))
    inquests.begin("a", ME, builtin_profiles()[profile].exits)
    said = said.replace("EPOCH", str(int(time.time()) + 90_000))
    until = inquests.end("a", 1, None, ("it worked", *said.split("\n"))).until
    assert (until is None) == (seconds is None)
    if until is not None and seconds is not None:
        assert until - clock.now() == pytest.approx(seconds, abs=20)


def test_only_rules_that_say_how_are_asked(syslog: Path) -> None:
    inquests = Inquests(SteadyClock(), KernelLog(syslog))
    inquests.begin("a", ME, (ExitRule(cause="rate_limited", pattern="limit"),))
    assert inquests.end("a", 1, None, ("limit resets in 2h",)).until is None
