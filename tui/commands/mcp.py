"""`mcp`: heartbeat, checkpoint, done and ask as tools of an MCP server, for agents that speak it."""

from __future__ import annotations

from .output import Screen
from .parsing import PROGRAM, Call
from .refusal import usage

MISSING = (
    f"{PROGRAM} mcp: the MCP server is not installed; install it with `pip install 'hhmrs-tui[mcp]'` "
    "(in a clone: script/setup dev)"
)


def mcp(_call: Call, _screen: Screen) -> int:
    """Serves on stdin and stdout until the agent's CLI closes them."""
    try:
        from ..mcp_tools import server
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("mcp", "mcp_types"):
            raise
        raise usage(MISSING) from None
    server().run("stdio")
    return 0
