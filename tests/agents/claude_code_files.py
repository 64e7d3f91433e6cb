"""The files of claude_code.py: settings with hooks, and the transcript, where and as documented."""

from __future__ import annotations

import json
import os
import re
import subprocess
import uuid
from pathlib import Path
from typing import Any

from letters import append_line, stamp

VERSION = "2.1.240"


def config_folder() -> Path:
    return Path(os.environ.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude")


class Transcript:
    """One session, a line for each message. Raises ValueError as the CLI refuses an id."""

    def __init__(self, session: str | None, resume: str | None, model: str) -> None:
        self.cwd, self.model = os.path.realpath("."), model
        self.session, self.resumed = resume or session or str(uuid.uuid4()), resume is not None
        folder = config_folder() / "projects" / re.sub(r"[^A-Za-z0-9]", "-", self.cwd)
        self.path = folder / f"{self.session}.jsonl"
        self.parent: str | None = None
        if self.resumed and not self.path.exists():
            raise ValueError(f"No conversation found with session ID: {self.session}")
        if not self.resumed and self.path.exists():
            raise ValueError(f"Error: Session ID {self.session} is already in use.")
        folder.mkdir(parents=True, exist_ok=True)

    def asked(self) -> list[str]:
        """What it was told so far, the oldest first."""
        if not self.path.exists():
            return []
        lines = [json.loads(line) for line in self.path.read_text("utf-8").splitlines()]
        said = [line["message"]["content"] for line in lines if line["type"] == "user"]
        return [text for text in said if isinstance(text, str) and text.strip()]

    def user(self, text: str) -> None:
        self._line("user", {"role": "user", "content": text})

    def answer(self, text: str) -> None:
        self._assistant([{"type": "text", "text": text}], "end_turn")

    def tool_use(self, name: str, what: str) -> str:
        use = f"toolu_{uuid.uuid4().hex[:20]}"
        self._assistant(
            [{"type": "tool_use", "id": use, "name": name, "input": {"command": what}}], "tool_use"
        )
        return use

    def tool_result(self, use: str, text: str, *, failed: bool) -> None:
        result = {"type": "tool_result", "tool_use_id": use, "content": text, "is_error": failed}
        self._line("user", {"role": "user", "content": [result]})

    def api_error(self, text: str) -> None:
        message = {"role": "assistant", "model": "<synthetic>", "content": [{"type": "text", "text": text}]}
        self._line("assistant", message, isApiErrorMessage=True)

    def _assistant(self, content: list[dict[str, Any]], stop: str) -> None:
        spent = {"input_tokens": 100, "output_tokens": 10, "cache_read_input_tokens": 0}
        message = {"id": f"msg_{uuid.uuid4().hex[:20]}", "role": "assistant", "model": self.model,
                   "content": content, "stop_reason": stop, "usage": spent}  # fmt: skip
        self._line("assistant", message, requestId=f"req_{uuid.uuid4().hex[:16]}")

    def _line(self, kind: str, message: dict[str, Any], **more: Any) -> None:
        own = str(uuid.uuid4())
        line = {
            "parentUuid": self.parent, "isSidechain": False, "userType": "external", "cwd": self.cwd,
            "sessionId": self.session, "version": VERSION, "gitBranch": "", "type": kind, "message": message,
            "uuid": own, "timestamp": stamp(), **more,
        }  # fmt: skip
        self.parent = own
        append_line(self.path, json.dumps(line, separators=(",", ":"), ensure_ascii=False))


class Hooks:
    """Those of settings.json; each gets its event as JSON on stdin, in the agent's own environment."""

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        try:
            settings = json.loads((config_folder() / "settings.json").read_text("utf-8"))
        except FileNotFoundError:
            settings = {}
        self._wired: dict[str, list[dict[str, Any]]] = settings.get("hooks", {})

    def run(self, event: str, **fields: Any) -> None:
        said = {
            "session_id": self._transcript.session, "transcript_path": str(self._transcript.path),
            "cwd": self._transcript.cwd, "permission_mode": "default", "hook_event_name": event, **fields,
        }  # fmt: skip
        for group in self._wired.get(event, ()):
            if not re.fullmatch(group.get("matcher") or ".*", str(fields.get("tool_name", ""))):
                continue
            for hook in group["hooks"]:
                subprocess.run(
                    ["/bin/sh", "-c", hook["command"]],  # a hook is a line for a shell, by its documentation
                    input=json.dumps(said),
                    text=True,
                    capture_output=True,
                    check=False,
                    timeout=hook.get("timeout", 60),
                )
