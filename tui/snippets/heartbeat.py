"""Tell the supervisor how you are. Copy this file into your program; Python 3.8 or newer, nothing else.

    send_progress_heartbeat("parsing row 7 of 90", 7 / 90)
    checkpoint(completed=["parser"], files=["src/parser.py"], next=["tests"])
    done("all rows parsed")

Outside hhmrs every function does nothing. None of them ever raises. All return whether a letter was sent.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any, Dict, List, Optional


def send_progress_heartbeat(
    message: str = "", progress: Optional[float] = None, state: str = "executing"
) -> bool:
    """Alive. `progress` is 0..1; send one at least every 30 s of long work."""
    fields: Dict[str, Any] = {"state": str(state), "message": _text(message)}
    try:
        if progress is not None:
            fields["progress"] = min(1.0, max(0.0, float(progress)))
            if fields["progress"] != fields["progress"]:
                del fields["progress"]
    except Exception:
        pass
    return _send("beat", fields)


def checkpoint(
    completed: Any = (), files: Any = (), next: Any = (), data: Optional[Dict[str, Any]] = None
) -> bool:
    """Where you are; a successor starts from here. Give everything that is finished, not only the newest."""
    fields = {
        "completed": _texts(completed),
        "files": _texts(files),
        "next": _texts(next),
        "data": data or {},
    }
    return _send("checkpoint", fields)


def done(summary: str = "", exit_code: int = 0, artifacts: Any = ()) -> bool:
    """The task is finished."""
    return _end("done", summary, exit_code, artifacts)


def fail(summary: str = "", exit_code: int = 1, artifacts: Any = ()) -> bool:
    """The task cannot be finished."""
    return _end("fail", summary, exit_code, artifacts)


def ask(question: str, options: Any = ()) -> bool:
    """A person must answer; the answer is typed to you."""
    return _send("ask", {"question": _text(question), "options": _texts(options)})


def load_checkpoint() -> Dict[str, Any]:
    """The checkpoint to go on from, or {} at a first start or when it cannot be read."""
    try:
        with open(os.environ["HHMRS_CHECKPOINT"], encoding="utf-8") as file:
            loaded = json.load(file)
        return loaded if isinstance(loaded, dict) else {}
    except Exception:
        return {}


def _end(kind: str, summary: str, exit_code: Any, artifacts: Any) -> bool:
    fields: Dict[str, Any] = {"summary": _text(summary), "artifacts": _texts(artifacts)}
    if isinstance(exit_code, int):
        fields["exit_code"] = int(exit_code)
    return _send(kind, fields)


def _text(value: Any) -> str:
    try:
        return str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    except Exception:
        try:
            return str(value).encode("utf-8", "replace").decode("utf-8")
        except Exception:
            return ""


def _texts(values: Any) -> List[str]:
    try:
        return [_text(value) for value in ([values] if isinstance(values, str) else values)]
    except Exception:
        return []


def _send(kind: str, fields: Dict[str, Any]) -> bool:
    draft = None
    try:
        inbox = os.environ.get("HHMRS_INBOX")
        if not inbox:
            return False
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + ".%03dZ" % int(now % 1 * 1000)
        letter = {
            "kind": kind,
            "agent": os.environ.get("HHMRS_AGENT", ""),
            "attempt": int(os.environ.get("HHMRS_ATTEMPT", "0")),
            "at": stamp,
        }
        letter.update(fields)
        text = json.dumps(letter, allow_nan=False, default=_text).encode("ascii")
        name = "%020d-%d-%s.json" % (time.time_ns(), os.getpid(), os.urandom(4).hex())
        draft = os.path.join(inbox, "tmp", name)
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(text)
            if kind != "beat":
                file.flush()
                os.fsync(fd)
        os.rename(draft, os.path.join(inbox, "new", name))
        return True
    except Exception:
        try:
            if draft:
                os.unlink(draft)
        except Exception:
            pass
        return False
