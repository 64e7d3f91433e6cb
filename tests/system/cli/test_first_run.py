"""A new user at a real terminal: no fleet file, then one, then no daemon, then a broken file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from hhmrs.config.loading import load_fleet
from hhmrs.config.paths import StateDir
from hhmrs.controller.ledger.lock import read_holder
from hhmrs.tests.system.cli.home import Home
from hhmrs.tests.system.cli.terminal import Terminal
from hhmrs.tui.sources.keeper import FleetKeeper


def _named(home: Home) -> None:
    """The fleet of the file that `init` wrote is named after its folder; the fixture ends it by this name."""
    home.fleet = load_fleet(home.file).fleet


def test_the_guided_path_of_a_new_user(terminal: Terminal) -> None:
    home = terminal.home
    home.file.unlink()
    terminal.open()
    terminal.until("A supervisor for AI coding agents", "There is no hhmrs.yaml", "i      write a first one")
    terminal.press("i")
    terminal.until("wrote", "enter  start the daemon and open the fleet")
    _named(home)
    terminal.press("enter")
    terminal.until("armed", home.fleet, "? help")

    home.run("down")
    terminal.until("NO DAEMON  D starts one, or `hhmrs up`", "unsupervised")
    terminal.press("D")
    terminal.until("armed", "the daemon runs, pid")
    assert "NO DAEMON" not in terminal.shown()

    good = home.file.read_text()
    home.file.write_text(good + "bogus: 1\n")
    terminal.until("FLEET FILE", "unknown key 'bogus'")
    home.file.write_text(good)
    home.until(lambda: "FLEET FILE" not in terminal.shown(), "the mended file")

    terminal.tmux("resize-window", "-t", "me:app", "-x", "30", "-y", "6")
    terminal.until("This terminal is 30x6")
    terminal.tmux("resize-window", "-t", "me:app", "-x", "60", "-y", "20")
    terminal.until("armed", "? help")
    terminal.press("q")
    terminal.until("keep running", "left with 0")


def test_the_bell_reaches_the_window_of_the_persons_own_tmux(terminal: Terminal) -> None:
    home = terminal.home
    home.write("  a: {profile: shell, command: [sleep, '600'], liveness: [process]}\n")
    assert home.run("up").returncode == 0
    terminal.open()
    terminal.until("armed", "? help", "1 pane")  # the first frame stands there before anybody listens
    terminal.tmux("set-option", "-g", "monitor-bell", "on")
    terminal.tmux("new-window", "-t", "me", "-n", "other", "cat")
    flag = ("display-message", "-p", "-t", "me:app", "#{window_bell_flag}")
    assert terminal.tmux(*flag).strip() == "0"
    assert home.run("escalate", "a").returncode == 0
    home.until(lambda: terminal.tmux(*flag).strip() == "1", "the bell")
    assert "]9;" not in terminal.shown()
    assert "hhmrs nightly" not in terminal.shown()


def test_a_broken_file_that_no_daemon_ever_ran_by(terminal: Terminal) -> None:
    home = terminal.home
    good = home.file.read_text()
    home.file.write_text(good + "bogus: 1\nworse: 2\n")
    terminal.open()
    terminal.until("The fleet file has 2 problems.", "unknown key 'bogus'", "unknown key 'worse'")
    assert not home.state.path.exists(), "nothing was started"
    home.file.write_text(good)
    terminal.until("armed", home.fleet)
    terminal.press("q")
    terminal.until("left with 0")


def test_a_broken_file_of_a_fleet_that_was_run_can_still_be_looked_at(terminal: Terminal) -> None:
    home = terminal.home
    assert home.run("up").returncode == 0
    good = home.file.read_text()
    home.file.write_text(good + "bogus: 1\n")
    terminal.open()
    terminal.until("FLEET FILE", "unknown key 'bogus'", "armed", " a ")
    home.run("down", "--fleet", home.fleet)
    terminal.until("NO DAEMON")
    terminal.press("D")
    terminal.until("no daemon starts by a broken fleet file")
    home.file.write_text(good)
    home.until(lambda: "FLEET FILE" not in terminal.shown(), "the mended file")
    terminal.press("D")
    terminal.until("the daemon runs")


def test_without_a_terminal_it_is_the_plain_message(home: Home) -> None:
    home.file.unlink()
    done = home.run()
    assert done.returncode == 2
    assert done.stderr.startswith("hhmrs: no hhmrs.yaml in ")
    assert done.stdout == ""


# -- the keeper -----------------------------------------------------------------------------------


def test_whose_fleet_it_is(home: Home) -> None:
    state = StateDir(home.state.root, home.fleet)
    keeper = FleetKeeper(state, home.file, load_fleet(home.file))
    assert keeper.locked() == "", "not begun yet"
    state.create()
    assert keeper.locked() == ""
    if os.geteuid() == 0:
        os.chown(state.path, 65534, 65534)
        assert "belongs to user" in keeper.locked()
        os.chown(state.path, 0, 0)
    else:
        state.operator_inbox.chmod(0o500)
        assert "cannot be written to" in keeper.locked()
        state.operator_inbox.chmod(0o700)
    assert keeper.locked() == ""


def test_the_file_is_read_again_only_when_it_was_changed(home: Home) -> None:
    spec = load_fleet(home.file)
    keeper = FleetKeeper(home.state, home.file, spec)
    keeper.look()
    assert keeper.spec is spec
    good = home.file.read_text()
    home.file.write_text(good.replace(home.fleet, "other"))
    keeper.look()
    assert keeper.spec is spec
    assert list(keeper.flaws) == [f"{home.file}:1:1: is fleet other now, not {home.fleet}"]
    home.file.unlink()
    keeper.look()
    assert "cannot be read" in "".join(keeper.flaws)
    home.file.write_text(good)
    keeper.look()
    assert not keeper.flaws
    assert keeper.spec is not spec


STARTING = """
import sys
from pathlib import Path
from hhmrs.config.paths import StateDir, state_root
from hhmrs.tui.sources.keeper import FleetKeeper
print(FleetKeeper(StateDir(state_root(), sys.argv[1]), Path(sys.argv[2]), None).start())
"""


def _keep(home: Home) -> str:
    """In a process of its own, as the screen is one."""
    words = [sys.executable, "-c", STARTING, home.fleet, str(home.file)]
    return subprocess.run(words, env=home.env, text=True, capture_output=True, check=True).stdout


def test_it_starts_the_daemon_and_lets_a_stopped_one_go_on(home: Home) -> None:
    assert _keep(home).startswith("the daemon runs, pid ")
    holder = read_holder(home.state)
    assert holder is not None
    os.kill(holder.pid, signal.SIGSTOP)
    home.until(holder.is_stopped, "the stop")
    assert _keep(home) == f"the daemon, pid {holder.pid}, goes on\n"
    home.until(lambda: not holder.is_stopped(), "going on")
