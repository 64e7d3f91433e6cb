"""`hhmrs mcp` as an agent's CLI uses it: a real client, stdio, letters in a real inbox."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hhmrs.controller.letters import letterforms

pytest.importorskip("mcp", reason="the extra `mcp` is not installed, so `hhmrs mcp` cannot be tried")

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

HHMRS = Path(sys.executable).with_name("hhmrs")


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    for name in ("tmp", "new"):
        (tmp_path / "inbox" / name).mkdir(parents=True)
    return tmp_path / "inbox"


def env_of(inbox: Path | None) -> dict[str, str]:
    env = {"PATH": os.environ["PATH"], "HOME": str(Path.home())}
    if inbox is not None:
        env |= {"HHMRS_INBOX": str(inbox), "HHMRS_AGENT": "worker", "HHMRS_ATTEMPT": "3"}
    return env


@asynccontextmanager
async def connected(inbox: Path | None) -> AsyncGenerator[ClientSession]:
    server = StdioServerParameters(command=str(HHMRS), args=["mcp"], env=env_of(inbox))
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        yield session


async def call(session: ClientSession, tool: str, **told: Any) -> tuple[bool, str]:
    """Whether it went well, and the words of the answer."""
    answer = await session.call_tool(tool, told)
    return not answer.is_error, "".join(getattr(part, "text", "") for part in answer.content)


def letters(inbox: Path) -> list[dict[str, Any]]:
    """All that lie there, the oldest first, as the daemon's door reads them."""
    found = []
    for path in sorted((inbox / "new").iterdir()):
        letter = letterforms.parse(path.read_bytes())
        letterforms.moment(letter, "at")
        assert (letter["agent"], letter["attempt"]) == ("worker", 3)
        found.append({"kind": letter["kind"], **letterforms.checked(letter["kind"], letter)})
    assert list((inbox / "tmp").iterdir()) == []
    return found


async def test_each_tool_writes_the_letter_of_its_command(inbox: Path) -> None:
    async with connected(inbox) as session:
        tools = {tool.name: tool for tool in (await session.list_tools()).tools}
        assert set(tools) == {"heartbeat", "checkpoint", "done", "ask"}
        assert "hibernated" in str(tools["heartbeat"].input_schema)
        assert (
            await call(session, "heartbeat", state="planning", progress=0.25, message="--help Grüße 日本")
        )[0]
        assert await call(
            session, "checkpoint", completed=["a", "b\nc"], files=["x.py"], next=["d"], data={"row": 7}
        ) == (True, "saved")
        assert (await call(session, "ask", question="--which?", options=["one", "two"]))[0]
        assert (await call(session, "done", summary="all of it", artifacts=["x.py"]))[0]
    beat, saved, asked, over = letters(inbox)
    assert (beat["kind"], beat["state"], beat["progress"]) == ("beat", "planning", 0.25)
    assert beat["message"] == "--help Grüße 日本"
    assert (saved["kind"], saved["completed"], saved["files"]) == ("checkpoint", ["a", "b\nc"], ["x.py"])
    assert (saved["next"], saved["data"]) == (["d"], {"row": 7})
    assert (asked["kind"], asked["question"], asked["options"]) == ("ask", "--which?", ["one", "two"])
    assert (over["kind"], over["summary"], over["artifacts"]) == ("done", "all of it", ["x.py"])


@pytest.mark.parametrize(
    ("tool", "told", "words"),
    [
        ("heartbeat", {"state": "sleepy"}, "unknown state 'sleepy'; it is one of idle"),
        ("heartbeat", {"progress": 7}, "a number from 0 to 1, not '7.0'"),
        ("checkpoint", {}, "give at least one of --completed"),
        ("ask", {"question": "  "}, "takes one QUESTION"),
        ("done", {"summary": "x" * (2 << 20)}, "at most 1048576 are taken"),
        ("ask", {}, "question"),
    ],
)
async def test_what_is_no_letter_is_refused_in_words(
    inbox: Path, tool: str, told: dict[str, Any], words: str
) -> None:
    async with connected(inbox) as session:
        fine, answer = await call(session, tool, **told)
        assert not fine
        assert words in answer
        assert await call(session, "heartbeat") == (True, "noted"), "it goes on after a refusal"
    assert [letter["kind"] for letter in letters(inbox)] == ["beat"]


async def test_outside_of_an_agent_the_model_is_told_why() -> None:
    async with connected(None) as session:
        fine, answer = await call(session, "heartbeat")
    assert not fine
    assert "HHMRS_INBOX is not set" in answer
    assert "name HHMRS_INBOX, HHMRS_AGENT and HHMRS_ATTEMPT in the server's `env`" in answer


async def test_an_inbox_that_is_gone_is_told(inbox: Path) -> None:
    (inbox / "tmp").rmdir()
    async with connected(inbox) as session:
        fine, answer = await call(session, "checkpoint", completed=["a"])
    assert not fine
    assert f"the inbox {inbox} cannot be written" in answer


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "mcp.py").write_text("raise ImportError('No module named mcp', name='mcp')\n")
    code = "import sys; sys.argv[0] = 'hhmrs'; from hhmrs.tui.cli import main; sys.exit(main(['mcp']))"
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "pip install 'hhmrs-tui[mcp]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
