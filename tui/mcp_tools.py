"""What an agent's CLI is offered over MCP: each tool writes the letter of `hhmrs beat` and its kin.

A process of its own on stdin and stdout, started by the agent's CLI; it learns from HHMRS_* whose it is. What
goes wrong is told to the model in words, for it is the one who can do something about it."""

from __future__ import annotations

import json
from typing import Annotated, Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from .. import __version__
from .letters import STATES, write_letter

INSTRUCTIONS = (
    "You are supervised. Call heartbeat now and then while you work; checkpoint after each finished step: "
    "a successor starts from the newest one; done when the task is finished; ask when only a person decides."
)
NOT_PASSED = (
    "; it may be that this CLI does not pass its environment on to its MCP servers: name HHMRS_INBOX, "
    "HHMRS_AGENT and HHMRS_ATTEMPT in the server's `env`"
)

State = Annotated[str, Field(description="one of: " + " ".join(STATES))]
Share = Annotated[float | None, Field(description="how much of the task is done, 0 to 1")]
Data = Annotated[dict[str, Any] | None, Field(description="whatever a successor must know")]
Texts = list[str]


def heartbeat(state: State = "executing", progress: Share = None, message: str = "") -> str:
    """Say that you are alive and what you are at."""
    told = ["--state=" + state]
    if progress is not None:
        told.append(f"--progress={progress!r}")
    if message:
        told.append("--message=" + message)
    return _write("beat", told, "noted")


def checkpoint(
    completed: Texts | None = None, files: Texts | None = None, next: Texts | None = None, data: Data = None
) -> str:
    """Save where you are: what is finished, which files it made, what comes next."""
    told = [
        *_each("--completed", completed),
        *_each("--file", files),
        *_each("--next", next),
    ]
    if data is not None:
        told.append("--data=" + json.dumps(data))
    return _write("checkpoint", told, "saved")


def done(summary: str = "", artifacts: Texts | None = None) -> str:
    """Say that the task is finished. Call it once, at the very end."""
    return _write("done", ["--summary=" + summary, *_each("--artifact", artifacts)], "told")


def ask(question: str, options: Texts | None = None) -> str:
    """Ask a person. The answer is typed to you; end your turn and wait for it."""
    return _write("ask", [*_each("--option", options), "--", question], "asked; the answer is typed to you")


def server() -> MCPServer:
    """The tools, ready to be run."""
    made = MCPServer("hhmrs", instructions=INSTRUCTIONS, version=__version__, log_level="WARNING")
    for tool in (heartbeat, checkpoint, done, ask):
        made.add_tool(tool)
    return made


def _each(option: str, values: Texts | None) -> list[str]:
    return [f"{option}={value}" for value in values or ()]


def _write(verb: str, told: list[str], answer: str) -> str:
    # Half a surrogate pair can stand in JSON, and in no file.
    words = [word.encode("utf-8", "replace").decode("utf-8") for word in told]
    code, why = write_letter(verb, words)
    if code:
        raise ToolError(why + (NOT_PASSED if "HHMRS_INBOX is not set" in why else ""))
    return answer
