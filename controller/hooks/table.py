"""Every CLI whose hooks are known. Another one is a file beside this and a line here."""

from __future__ import annotations

from .aider import AIDER
from .claude import CLAUDE
from .codex import CODEX
from .copilot import COPILOT
from .gemini import GEMINI
from .kinds import Kind
from .opencode import OPENCODE
from .qwen import QWEN

KINDS: dict[str, Kind] = {kind.name: kind for kind in (CLAUDE, CODEX, GEMINI, QWEN, COPILOT, OPENCODE, AIDER)}
