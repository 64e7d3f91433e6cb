"""The tmux adapter against a real tmux: all arrives byte for byte; nothing else is touched."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import subprocess
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from signal import SIGCHLD, SIGCONT, SIGSTOP
from typing import Any

import psutil
import pytest

from hhmrs.controller.ports import PaneMissing, TerminalsError
from hhmrs.controller.terminals.tmux import TmuxTerminals, printable
from hhmrs.controller.terminals.tmux_engine import Answer, SpawnEngine
from hhmrs.controller.terminals.tmux_words import ROW_FORMAT, read_rows

HOSTILE = [
    "-x", "--", "end;", ";", "a;b", "#{pid}", "#S", "$HOME", "~", "~root",
    "é ü 漢字 \U0001f469\u200d\U0001f680",
    "new\nline\ttab", "", "q'\"q", "{", "}", "\\", "\\\\", "\\n", "%if", "%begin 1 1 1", "a=b",
    "\x1b[1mbold\x7f", "[bold]", "[/]", " lead", "trail ", "`id`", "$(id)", "*", "!", "|", "&", "\udcff",
]  # fmt: skip

DUMP = """
import json, os, sys
out = sys.argv[1]
what = {"argv": sys.argv[2:], "env": dict(os.environ), "cwd": os.getcwd(), "pid": os.getpid()}
with open(out + ".new", "w", encoding="ascii") as file:
    json.dump(what, file)
os.rename(out + ".new", out)
sys.stdin.read()
"""


def tmux(socket: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["tmux", "-L", socket, "-u", "-N", *words], capture_output=True, text=True, timeout=10, check=False
    )


@pytest.fixture
def dump(
    terminals: TmuxTerminals,
    tmp_path: Path,
    python: str,
    environment: dict[str, str],
    wait_until: Callable[..., None],
) -> Callable[..., dict[str, Any]]:
    """Start a child that writes down what it was given, and read it."""

    def run(
        argv: Sequence[str] = (), env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> dict[str, Any]:
        out = tmp_path / "dump.json"
        command = [python, "-c", DUMP, str(out), *argv]
        view = terminals.respawn("a1", command, str(cwd or tmp_path), {**environment, **(env or {})}, 1)
        wait_until(out.exists, what="the child wrote its argv")
        found: dict[str, Any] = json.loads(out.read_text())
        assert found["pid"] == view.pid, "the pid is the command's own, not a launcher's"
        return found

    return run


def test_hostile_arguments_and_environment_arrive_byte_for_byte(dump: Callable[..., dict[str, Any]]) -> None:
    env = {f"V{n}": text for n, text in enumerate(HOSTILE)}
    found = dump(HOSTILE, env)
    assert found["argv"] == HOSTILE
    assert {k: v for k, v in found["env"].items() if k in env} == env


def test_long_arguments_and_a_long_environment_arrive(dump: Callable[..., dict[str, Any]]) -> None:
    env = {f"LONG{n}": "x;" * 30_000 for n in range(8)}
    found = dump(["y" * 100_000], env)
    assert found["argv"] == ["y" * 100_000]
    assert {k: v for k, v in found["env"].items() if k in env} == env


def test_the_folder_may_have_any_name(dump: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    odd = tmp_path / "a #{pid} $HOME; #S 'q'"
    odd.mkdir()
    assert dump(cwd=odd)["cwd"] == str(odd)


def test_a_pane_knows_nothing_of_our_environment_and_of_our_terminal(
    tmux_socket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dump: Callable[..., dict[str, Any]]
) -> None:
    found = dump(env={"TMUX": "/nowhere,1,1", "TERM": "dumb", "KEEP": "1"})["env"]
    assert found["KEEP"] == "1"
    assert tmux_socket in found["TMUX"]
    assert found["TERM"].endswith("-256color")


def test_secrets_of_the_starter_are_not_inherited(
    tmux_socket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    wait_until: Callable[..., None],
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "s3cret")
    terminals = TmuxTerminals(tmux_socket, tmp_path / "tmux.conf")
    terminals.ensure()
    terminals.respawn("a1", ["env"], str(tmp_path), environment, 1)
    wait_until(lambda: any("TMUX_PANE" in line for line in terminals.capture("a1")))
    assert "s3cret" not in "\n".join(terminals.capture("a1", history=100))


@pytest.mark.parametrize(
    ("argv", "env", "says"),
    [
        ([], {}, "empty"),
        ([""], {}, "empty"),
        (["a=b"], {}, "="),
        (["x\0y"], {}, "NUL"),
        (["\ud800"], {}, "Unicode"),
        (["x", "y" * 200_000], {}, "bytes"),
        (["x"], {"A=B": "1"}, "environment variable"),
        (["x"], {f"N{n}": "z" * 100_000 for n in range(40)}, "too long"),
    ],
)
def test_what_no_process_could_be_given_is_refused_at_the_door(
    terminals: TmuxTerminals, tmp_path: Path, argv: list[str], env: dict[str, str], says: str
) -> None:
    with pytest.raises(TerminalsError, match=says):
        terminals.respawn("a1", argv, str(tmp_path), env, 1)
    assert terminals.panes() == []


def test_a_missing_folder_is_refused(terminals: TmuxTerminals, tmp_path: Path) -> None:
    with pytest.raises(TerminalsError, match="missing"):
        terminals.respawn("a1", ["true"], str(tmp_path / "no"), {}, 1)


@pytest.mark.parametrize("name", ["_hub", "-x", "a:b", "a.b", "", "=a", "a\n", "x" * 65, "#{pid}"])
def test_only_names_of_agents_are_taken(terminals: TmuxTerminals, tmp_path: Path, name: str) -> None:
    with pytest.raises(TerminalsError, match="cannot name an agent"):
        terminals.respawn(name, ["true"], str(tmp_path), {}, 1)
    with pytest.raises(TerminalsError, match="cannot name an agent"):
        terminals.close(name)


@pytest.mark.parametrize(("script", "status", "signal"), [
    ("exit 0", 0, None), ("exit 1", 1, None), ("exit 126", 126, None), ("exit 127", 127, None),
    ("exit 130", 130, None), ("exit 137", 137, None),
    ("kill -9 $$", None, 9), ("kill -15 $$", None, 15), ("kill -2 $$", None, 2),
])  # fmt: skip
def test_a_dead_pane_says_how_it_ended(
    terminals: TmuxTerminals,
    tmp_path: Path,
    environment: dict[str, str],
    wait_until: Callable[..., None],
    script: str,
    status: int | None,
    signal: int | None,
) -> None:
    terminals.respawn("a1", ["sh", "-c", script], str(tmp_path), environment, 3)

    def ended() -> object:
        # Some tmux builds lose SIGCHLD; reading the status once is the observer's business.
        os.kill(terminals.server_pid() or 0, SIGCHLD)
        (pane,) = terminals.panes()
        return pane if pane.dead and (pane.status, pane.signal) != (None, None) else None

    wait_until(ended)
    (pane,) = terminals.panes()
    assert (pane.agent, pane.attempt, pane.status, pane.signal) == ("a1", 3, status, signal)


def test_a_missing_command_ends_with_127_and_says_so(
    terminals: TmuxTerminals, tmp_path: Path, environment: dict[str, str], wait_until: Callable[..., None]
) -> None:
    terminals.respawn("a1", ["no-such-program-here"], str(tmp_path), environment, 1)
    wait_until(lambda: terminals.panes()[0].dead)
    assert "no-such-program-here" in "\n".join(terminals.capture("a1"))


def test_a_lone_word_is_a_command_and_not_a_shell_line(
    terminals: TmuxTerminals, tmp_path: Path, environment: dict[str, str], wait_until: Callable[..., None]
) -> None:
    terminals.respawn("a1", ["touch pwned; true"], str(tmp_path), environment, 1)
    wait_until(lambda: terminals.panes()[0].dead)
    assert not (tmp_path / "pwned").exists()


def test_an_attempt_starts_on_an_empty_pane(
    terminals: TmuxTerminals, tmp_path: Path, environment: dict[str, str], wait_until: Callable[..., None]
) -> None:
    first = terminals.respawn("a1", ["sh", "-c", "seq 200; sleep 60"], str(tmp_path), environment, 1)
    wait_until(lambda: "200" in terminals.capture("a1"))
    second = terminals.respawn("a1", ["sh", "-c", "echo new; sleep 60"], str(tmp_path), environment, 2)
    wait_until(lambda: "new" in terminals.capture("a1"))
    assert [line for line in terminals.capture("a1", history=500) if line] == ["new"]
    assert second.pane == first.pane
    assert second.pid != first.pid
    assert (first.attempt, second.attempt) == (1, 2)


def test_a_line_that_the_pane_has_wrapped_is_read_as_one(
    terminals: TmuxTerminals, tmp_path: Path, environment: dict[str, str], wait_until: Callable[..., None]
) -> None:
    """Else half of a secret would stand on a line of its own, where nothing tells that it is one."""
    long = "using sk-" + "0123456789" * 60
    terminals.respawn("a1", ["sh", "-c", f"echo {long}; echo end; sleep 60"], str(tmp_path), environment, 1)
    wait_until(lambda: "end" in terminals.capture("a1"))
    assert [line for line in terminals.capture("a1", history=100) if line] == [long, "end"]
    assert max(map(len, terminals.capture("a1"))) < len(long)  # what is shown is as wide as the pane


def test_panes_of_the_hub_and_of_people_are_not_ours(
    terminals: TmuxTerminals, tmux_socket: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    view = terminals.respawn("a1", ["sleep", "60"], str(tmp_path), environment, 1)
    tmux(tmux_socket, "split-window", "-d", "-t", "=a1:", "sleep 60")
    tmux(tmux_socket, "new-session", "-d", "-s", "mine", "sleep 60")
    tmux(tmux_socket, "new-session", "-d", "-t", "=a1", "-s", "group")
    assert [p.pane for p in terminals.panes()] == [view.pane]


def test_typing_reaches_our_pane_when_a_person_works_in_another(
    terminals: TmuxTerminals,
    tmux_socket: str,
    tmp_path: Path,
    environment: dict[str, str],
    wait_until: Callable[..., None],
) -> None:
    terminals.respawn("a1", ["cat"], str(tmp_path), environment, 1)
    tmux(tmux_socket, "split-window", "-t", "=a1:", "sleep 60")
    terminals.paste("a1", "hello")
    wait_until(lambda: terminals.capture("a1").count("hello") == 2)


def test_a_pane_lost_to_a_persons_split_is_made_anew(
    terminals: TmuxTerminals, tmux_socket: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    view = terminals.respawn("a1", ["sleep", "60"], str(tmp_path), environment, 1)
    tmux(tmux_socket, "split-window", "-d", "-t", "=a1:", "sleep 60")
    tmux(tmux_socket, "kill-pane", "-t", view.pane)
    again = terminals.respawn("a1", ["sleep", "60"], str(tmp_path), environment, 2)
    assert [p.pane for p in terminals.panes()] == [again.pane]
    assert len(tmux(tmux_socket, "list-panes", "-s", "-t", "=a1:").stdout.splitlines()) == 2


def test_titles_cannot_forge_a_row(
    terminals: TmuxTerminals, tmp_path: Path, environment: dict[str, str], wait_until: Callable[..., None]
) -> None:
    title = "a2 %9 1 t/dev/pts/0 1 s0 g n7 0 0 0 0 0 0 0 1 x [/] #{pid} é"
    script = f"printf '\\033]2;%s\\007' '{title}'; sleep 60"
    terminals.respawn("a1", ["sh", "-c", script], str(tmp_path), environment, 1)
    wait_until(lambda: terminals.panes()[0].title == title)
    (pane,) = terminals.panes()
    assert (pane.agent, pane.dead, pane.attempt) == ("a1", False, 1)


def test_broken_rows_are_passed_over() -> None:
    assert read_rows(["", "a1 %1", "a1 %1 x t 0 s g n1 0 0 0 0 0 0 0 1 i0 xtitle", ROW_FORMAT]) == []


def test_paste_is_exact_without_control_characters_and_enter_comes_after(
    terminals: TmuxTerminals,
    tmp_path: Path,
    environment: dict[str, str],
    python: str,
    wait_until: Callable[..., None],
) -> None:
    got = tmp_path / "got"
    reader = (
        "import os, sys, termios, tty\n"
        "tty.setraw(0)\n"
        "os.write(1, b'\\x1b[?2004h ready')\n"
        f"out = open({str(got)!r}, 'ab', buffering=0)\n"
        "while True: out.write(os.read(0, 65536))\n"
    )
    terminals.respawn("a1", [python, "-c", reader], str(tmp_path), environment, 1)
    wait_until(lambda: "ready" in "\n".join(terminals.capture("a1")))
    text = "-n é 漢 'q' \"d\" $(id) #{pid} \\ a;\n\ttab\x1b[201~\x07\x9b31m\r\nend;"
    terminals.paste("a1", text * 200)
    expected = b"\x1b[200~" + printable(text * 200).encode() + b"\x1b[201~\r"
    wait_until(lambda: got.exists() and got.read_bytes() == expected, what="the pasted bytes")
    assert b"\x1b" not in expected[6:-7]
    assert tmux(terminals.socket, "list-buffers").stdout == ""


def test_paste_and_keys_leave_copy_mode_first(
    terminals: TmuxTerminals,
    tmux_socket: str,
    tmp_path: Path,
    environment: dict[str, str],
    wait_until: Callable[..., None],
) -> None:
    terminals.respawn("a1", ["cat"], str(tmp_path), environment, 1)
    tmux(tmux_socket, "copy-mode", "-t", "=a1:")
    assert terminals.panes()[0].in_mode
    terminals.paste("a1", "one")
    tmux(tmux_socket, "copy-mode", "-t", "=a1:")
    terminals.keys("a1", ["t", "w", "o", "Enter"])
    wait_until(lambda: [s for s in terminals.capture("a1") if s] == ["one", "one", "two", "two"])


def test_capture_keeps_colours_when_asked(
    terminals: TmuxTerminals, tmp_path: Path, environment: dict[str, str], wait_until: Callable[..., None]
) -> None:
    terminals.respawn("a1", ["sh", "-c", "printf '\\033[31mred [bold]x[/]\\033[0m'; sleep 60"], str(tmp_path),
                      environment, 1)  # fmt: skip
    wait_until(lambda: terminals.capture("a1")[0] == "red [bold]x[/]")
    assert "\x1b[31m" in terminals.capture("a1", escapes=True)[0]


def test_to_capture_a_pane_again_takes_one_call_that_asks_whose_it_is(
    terminals: TmuxTerminals,
    tmp_path: Path,
    environment: dict[str, str],
    wait_until: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for agent in ("a1", "a2"):
        script = f"printf %s {agent}-first; sleep 60"
        terminals.respawn(agent, ["sh", "-c", script], str(tmp_path), environment, 1)
        wait_until(lambda agent=agent: terminals.capture(agent)[0] == f"{agent}-first")
    batches: list[list[str]] = []
    run_batch = SpawnEngine.run_batch

    def counted(engine: SpawnEngine, commands: Sequence[Sequence[str]]) -> list[Answer]:
        batches.append([words[0] for words in commands])
        return run_batch(engine, commands)

    monkeypatch.setattr(SpawnEngine, "run_batch", counted)
    assert terminals.capture("a1")[0] == "a1-first"
    assert batches == [["display-message", "display-message", "capture-pane"]]
    # A person swaps the labels: the pane that was remembered is the other agent's now.
    panes = {agent: terminals.pane_of(agent).pane for agent in ("a1", "a2")}  # type: ignore[union-attr]  # they are there
    for agent, other in (("a1", "a2"), ("a2", "a1")):
        tmux(terminals.socket, "set-option", "-p", "-t", panes[agent], "@hhmrs_agent", other)
    assert terminals.capture("a1")[0] == "a2-first"
    terminals.close("a2")
    with pytest.raises(PaneMissing):
        terminals.capture("a1")


def test_a_hundred_megabytes_of_output_leave_a_bounded_history(
    terminals: TmuxTerminals, tmp_path: Path, environment: dict[str, str], wait_until: Callable[..., None]
) -> None:
    script = "yes 0123456789012345678901234567890123456789 | head -c 100000000; echo; echo over; sleep 60"
    terminals.respawn("a1", ["sh", "-c", script], str(tmp_path), environment, 1)
    wait_until(lambda: "over" in terminals.capture("a1"), deadline=90)
    assert len(terminals.capture("a1", history=100_000)) <= 2100


def test_close_removes_the_session_and_only_that(
    terminals: TmuxTerminals, tmp_path: Path, environment: dict[str, str]
) -> None:
    for agent in ("a1", "a11"):
        terminals.respawn(agent, ["sleep", "60"], str(tmp_path), environment, 1)
    terminals.close("a1")
    terminals.close("a1")
    assert [p.agent for p in terminals.panes()] == ["a11"]
    with pytest.raises(TerminalsError, match="no pane"):
        terminals.capture("a1")


def test_the_configuration_is_private_and_in_force(
    terminals: TmuxTerminals, tmux_socket: str, tmp_path: Path
) -> None:
    assert stat.S_IMODE((tmp_path / "tmux.conf").stat().st_mode) == 0o600
    shown = tmux(tmux_socket, "show-options", "-g").stdout
    for line in ("remain-on-exit", "destroy-unattached off", "status off", "history-limit 2000"):
        assert line in shown + tmux(tmux_socket, "show-options", "-gw").stdout
    assert "exit-empty off" in tmux(tmux_socket, "show-options", "-s").stdout
    assert tmux(tmux_socket, "show-messages").stderr.strip() in ("", "no current client")


def test_the_users_own_configuration_is_never_read(
    tmux_socket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(os.environ["HOME"], ".tmux.conf").write_text("set -g @mine yes\n")
    terminals = TmuxTerminals(tmux_socket, tmp_path / "tmux.conf")
    with pytest.raises(TerminalsError):
        terminals.panes()
    assert terminals.server_pid() is None
    terminals.ensure()
    assert "@mine" not in tmux(tmux_socket, "show-options", "-g").stdout


def test_a_server_that_is_not_ours_is_left_alone(tmux_socket: str, tmp_path: Path) -> None:
    theirs = ["tmux", "-L", tmux_socket, "-f", "/dev/null", "new-session", "-d", "-s", "theirs", "sleep 60"]
    subprocess.run(theirs, check=True, timeout=10)
    terminals = TmuxTerminals(tmux_socket, tmp_path / "tmux.conf")
    with pytest.raises(TerminalsError, match="did not start"):
        terminals.ensure()
    terminals.kill_server()
    assert terminals.server_pid() is None
    assert "theirs" in tmux(tmux_socket, "list-sessions").stdout
    tmux(tmux_socket, "kill-server")


def test_a_server_that_has_not_read_its_configuration_yet_is_given_the_time(
    tmux_socket: str, tmp_path: Path
) -> None:
    bare = ["tmux", "-L", tmux_socket, "-f", "/dev/null", "new-session", "-d", "-s", "_hub", "sleep 60"]
    subprocess.run(bare, check=True, timeout=10)
    late = threading.Timer(0.3, lambda: tmux(tmux_socket, "set-option", "-s", "@hhmrs_server", "ours"))
    late.start()
    terminals = TmuxTerminals(tmux_socket, tmp_path / "tmux.conf")
    terminals.ensure()
    late.join()
    assert terminals.server_pid() is not None


def test_several_threads_may_find_the_server_gone_at_once(terminals: TmuxTerminals) -> None:
    # Asked in its first milliseconds, a server has not yet read in its configuration whose it is.
    for _ in range(6):
        terminals.kill_server()
        assert terminals.server_pid() is None

        def ensured(_: int) -> int | None:
            terminals.ensure()
            return terminals.server_pid()

        with ThreadPoolExecutor(8) as pool:
            found = set(pool.map(ensured, range(8)))
        assert len(found) == 1, "one server for all of them"
        assert None not in found


def test_ensure_twice_keeps_the_server_and_kill_server_removes_it(
    terminals: TmuxTerminals, tmux_socket: str
) -> None:
    pid = terminals.server_pid()
    terminals.ensure()
    assert terminals.server_pid() == pid
    path = Path(tmux(tmux_socket, "display-message", "-p", "#{socket_path}").stdout.strip())
    terminals.kill_server()
    terminals.kill_server()
    assert terminals.server_pid() is None
    assert not path.exists()


def test_a_server_that_does_not_answer_is_an_error_in_time_and_goes_on_as_if_nobody_had_asked(
    tmux_socket: str, tmp_path: Path, terminals: TmuxTerminals, wait_until: Callable[..., None]
) -> None:
    view = terminals.respawn("a1", ["cat"], str(tmp_path), {"PATH": os.environ["PATH"]}, 1)
    pid = terminals.server_pid()
    assert pid is not None
    hasty = TmuxTerminals(tmux_socket, tmp_path / "tmux.conf", deadline=0.3)
    os.kill(pid, SIGSTOP)
    try:
        for ask in (hasty.panes, hasty.server_pid, hasty.ensure, lambda: hasty.paste("a1", "late")) * 3:
            with pytest.raises(TerminalsError, match="did not answer"):
                ask()
        clients = [p for p in psutil.Process().children() if tmux_socket in p.cmdline()]
        assert len(clients) == 1, "killed clients would end the server, and the agents with it"
    finally:
        os.kill(pid, SIGCONT)

    def seen() -> bool:
        with contextlib.suppress(TerminalsError):
            return [pane.pid for pane in hasty.panes()] == [view.pid]
        return False

    wait_until(seen, what="it answers again")
    assert hasty.server_pid() == pid
    assert "late" not in "\n".join(hasty.capture("a1")), "what was reported as failed is not typed later"


def test_a_missing_tmux_is_named(tmp_path: Path) -> None:
    with pytest.raises(TerminalsError, match="not found"):
        TmuxTerminals("hhmrs-test-none", tmp_path / "c", tmux="tmux-that-is-not-here").panes()
