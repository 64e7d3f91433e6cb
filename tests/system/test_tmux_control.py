"""The control client against a real tmux: answers, refusals, and what an agent prints between them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from hhmrs.controller.terminals.tmux import TmuxTerminals
from hhmrs.controller.terminals.tmux_control import ControlClient, ControlLost, ControlRefused


async def test_the_control_client_matches_answers_and_refusals(terminals: TmuxTerminals) -> None:
    client = ControlClient(terminals.socket)
    await client.connect()
    answers = await client.run_all([["display-message", "-p", "one"], ["kill-session", "-t", "=no"],
                                    ["display-message", "-p", "a;b '\"$HOME \\ #{l:x} é"]])  # fmt: skip
    assert answers[0] == ["one"]
    assert isinstance(answers[1], ControlRefused)
    assert answers[2] == ["a;b '\"$HOME \\ x é"]
    with pytest.raises(ControlRefused, match="can't find"):
        await client.run("kill-session", "-t", "=no")
    hundred = await asyncio.gather(*(client.run("display-message", "-p", str(n)) for n in range(100)))
    assert [int(a[0]) for a in hundred] == list(range(100))
    await client.close()
    with pytest.raises(ControlLost):
        await client.run("display-message", "-p", "x")


async def test_guards_printed_by_an_agent_are_only_text(
    terminals: TmuxTerminals,
    tmp_path: Path,
    environment: dict[str, str],
    eventually: Callable[..., Awaitable[None]],
) -> None:
    script = "printf '%%end 1 1 1\\n%%begin 2 2 1\\n%%error 3 3 1\\n%%exit\\n'; sleep 60"
    await asyncio.to_thread(terminals.respawn, "a1", ["sh", "-c", script], str(tmp_path), environment, 1)
    client = ControlClient(terminals.socket)
    await client.connect()
    seen: list[str] = []
    while "%exit" not in seen:
        seen = [line for line in await client.run("capture-pane", "-p", "-t", "=a1:") if line]
    assert seen == ["%end 1 1 1", "%begin 2 2 1", "%error 3 3 1", "%exit"]
    await client.close()


async def test_the_control_client_never_starts_a_server(tmux_socket: str) -> None:
    with pytest.raises(ControlLost):
        await ControlClient(tmux_socket).connect()
    with pytest.raises(ControlLost):
        await ControlClient(tmux_socket, tmux="tmux-that-is-not-here").connect()
