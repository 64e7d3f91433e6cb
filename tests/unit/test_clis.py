"""Whether a CLI still runs under the shell that is the agent's command."""

from __future__ import annotations

import pytest

from hhmrs.controller.processes.clis import SOON, CliWatch
from hhmrs.controller.processes.measuring import Meter
from hhmrs.controller.processes.process_table import ProcessRow

NAMES = {"a": ("claude", "node", "python*")}
LATE = 1000.0


def row(pid: int, name: str, started: float = 5.0) -> ProcessRow:
    return ProcessRow(pid, 1, name, "S", started, 0.0, 0, 1)


SHELL = row(10, "sh")


def looks(watch: CliWatch, *families: tuple[ProcessRow, ...], clock: float = LATE) -> list[str]:
    return [watch.look({"a": list(family)}, NAMES, clock).get("a", "") for family in families]


@pytest.mark.parametrize("name", ["claude", "node", "python3.11"])
def test_a_cli_that_was_there_and_is_not_twice_is_gone(name: str) -> None:
    there, alone = (SHELL, row(11, name)), (SHELL,)
    assert looks(CliWatch(), there, alone, alone, alone, there) == ["there", "", "gone", "gone", "there"]


def test_a_moment_between_two_looks_says_nothing() -> None:
    there, alone = (SHELL, row(11, "claude")), (SHELL,)
    assert looks(CliWatch(), there, alone, there, alone) == ["there", "", "there", ""]


def test_a_shell_that_a_cli_runs_as_a_tool_is_below_it() -> None:
    cli = (row(10, "claude"), row(11, "bash"), row(12, "sleep"))
    assert looks(CliWatch(), cli, cli, (row(10, "claude"),), (row(10, "claude"), row(11, "sh"))) == [""] * 4
    under = (SHELL, row(11, "claude"), row(12, "bash"))
    assert looks(CliWatch(), under, under) == ["there", "there"]


def test_what_the_cli_left_running_is_not_the_cli() -> None:
    left = (SHELL, row(12, "vite"))
    assert looks(CliWatch(), (SHELL, row(11, "claude")), left, left) == ["there", "", "gone"]


def test_a_shell_may_do_something_else_first() -> None:
    watch = CliWatch()
    assert looks(watch, (SHELL, row(11, "make")), (SHELL, row(11, "make"))) == ["", ""]
    assert looks(watch, (SHELL, row(12, "claude"))) == ["there"]


def test_a_cli_that_never_came_is_gone_in_time() -> None:
    alone = (SHELL,)
    watch = CliWatch()
    assert looks(watch, alone, alone, clock=5.0 + SOON - 1) == ["", ""]
    assert looks(watch, alone, alone, clock=5.0 + SOON) == ["", "gone"]


def test_another_shell_of_the_same_number_is_another_shell() -> None:
    watch = CliWatch()
    again = row(10, "sh", started=LATE - 1)
    assert looks(watch, (SHELL, row(11, "claude")), (again,), (again,)) == ["there", "", ""]


def test_a_name_is_the_whole_name() -> None:
    assert looks(CliWatch(), (SHELL, row(11, "nodemon")), (SHELL, row(11, "claude-x"))) == ["", ""]


def child(pid: int, parent: int, name: str, cpu: float) -> ProcessRow:
    return ProcessRow(pid, parent, name, "S", 5.0, cpu, 0, 1)


@pytest.mark.parametrize(("names", "busy"), [({"a": ("claude",)}, 1), ({}, 3)])
@pytest.mark.parametrize("first", ["sh", "claude"])
def test_the_cli_itself_is_nobodys_working_child_and_its_tools_are(
    names: dict[str, tuple[str, ...]], busy: int, first: str
) -> None:
    """Under a shell, or a wrapper that starts itself again as qwen does: its spinner is no work."""
    meter = Meter(lambda: 100.0, lambda _: None)
    for cpu in (1.0, 2.0):
        cli = [child(12, 11, "claude", cpu), child(11, 10, "claude", cpu)]
        family = [child(10, 1, first, cpu), *cli, child(13, 12, "bash", cpu), child(14, 13, "claude", 1.0)]
        measure = meter.look({"a": family}, cpu, names)["a"]
    assert measure.cpu_grew
    assert len(measure.busy_children) == busy


def test_a_command_of_another_name_has_only_tools_below_it() -> None:
    meter = Meter(lambda: 100.0, lambda _: None)
    for cpu in (1.0, 2.0):
        family = [child(10, 1, "mine", cpu), child(11, 10, "claude", cpu)]
        measure = meter.look({"a": family}, cpu, NAMES)["a"]
    assert len(measure.busy_children) == 1
