"""The demo's fleet: who plays, which trouble each one has, and the fleet file that is written from that."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_name("scripted.py")
FLEET_FILE = "hhmrs.yaml"
WORK = "work"


@dataclass(frozen=True, slots=True)
class Part:
    """One agent of the demo. `after`: subtasks done before its trouble begins."""

    id: str
    title: str
    parent: str | None
    role: str
    trouble: str = "none"
    after: int = 3

    def workspace(self, folder: Path) -> Path:
        return folder / WORK / self.id

    @property
    def expected(self) -> frozenset[str]:
        """Strategies that may bring this agent back; empty: it must never be recovered."""
        return EXPECTED.get(self.trouble, frozenset())


EXPECTED: Mapping[str, frozenset[str]] = {
    "nudge": frozenset({"nudge"}),
    "resume": frozenset({"resume"}),
    "restart": frozenset({"restart"}),
    "reassign": frozenset({"reassign"}),
    "escalate": frozenset({"escalate"}),
    "loop": frozenset({"resume", "restart"}),
    "runaway": frozenset({"resume", "restart"}),
}

CAST: tuple[Part, ...] = (
    Part("pas-root", "PAS Root", None, "report"),
    Part("architect", "Architect", "pas-root", "report"),
    Part("dir-code", "Dir-Code", "architect", "report"),
    Part("dir-data", "Dir-Data", "architect", "report"),
    Part("prog-parser", "Prog-Parser", "dir-code", "parser", "nudge"),
    Part("prog-fields", "Prog-Fields", "dir-code", "parser", "resume"),
    Part("prog-build", "Prog-Build", "dir-code", "checksums", "restart"),
    Part("prog-review", "Prog-Review", "dir-code", "docs", "reassign"),
    Part("prog-deploy", "Prog-Deploy", "dir-code", "checksums", "escalate"),
    Part("prog-sort", "Prog-Sort", "dir-data", "sorter", "loop"),
    Part("prog-sums", "Prog-Sums", "dir-data", "checksums", "limit"),
    Part("prog-docs", "Prog-Docs", "dir-data", "docs", "ask"),
    Part("prog-crawl", "Prog-Crawl", "dir-data", "sorter", "runaway"),
)

POLICY: Mapping[str, Any] = {
    "testing": True,
    "heartbeat_interval": "1s",
    "missed_heartbeats": 3,
    "quick_look": "4s",
    "progress_timeout": "6s",
    "tool_timeout": "10s",
    "task_deadline": "10m",
    "max_restarts": 2,
    "max_llm_retries": 2,
    "backoff": {"initial": "200ms", "factor": 2, "max": "500ms", "jitter": 0.1},
    "kill_grace": "1s",
    "verify_within": "4s",
    "stable_after": "1m",
    # Half of this fleet fails within seconds, each of its own cause, and is meant to.
    "cascade": {"share": "90%", "at_least": 9, "window": "10s"},
}
"""The real policy with short times, so that a demo takes seconds."""

PROFILES: Mapping[str, Any] = {
    "scripted": {
        "about": "a scripted agent of the demo",
        "screens": {
            "limited": {
                "phase": "limited",
                "pattern": "usage limit reached",
                "resets": r"resets in (\d+) seconds",
                "lines": 6,
            }
        },
    }
}


def fleet_name() -> str:
    return f"demo-{secrets.token_hex(3)}"


def write_fleet(
    folder: Path, name: str, *, subtasks: int = 10, pace: float = 0.3, notify: tuple[str, ...] = ()
) -> Path:
    """Write `hhmrs.yaml` and the workspaces into `folder`; `pace` is seconds per subtask."""
    for part in CAST:
        part.workspace(folder).mkdir(parents=True)
    document: dict[str, Any] = {
        "fleet": name,
        "policy": dict(POLICY),
        "profiles": dict(PROFILES),
        "agents": {part.id: _agent(part, subtasks, pace) for part in CAST},
    }
    if notify:
        document["notify"] = list(notify)
    path = folder / FLEET_FILE
    head = "# The demo's fleet: real tmux, real processes, scripted agents, short times.\n"
    path.write_text(head + "\n".join(_yaml(document)) + "\n", encoding="utf-8")
    path.chmod(0o600)
    return path


def _agent(part: Part, subtasks: int, pace: float) -> dict[str, Any]:
    agent: dict[str, Any] = {
        "title": part.title,
        "profile": "scripted",
        "model": "small",
        "command": command(part, subtasks, pace, seat=0),
        "workspace": f"{WORK}/{part.id}",
        "prompt": f"Do {subtasks} subtasks of {part.role}",
    }
    if part.parent:
        agent["parent"] = part.parent
    if part.trouble in ("reassign", "escalate"):
        agent["alternates"] = [{"model": "large", "command": command(part, subtasks, pace, seat=1)}]
    return agent


def command(part: Part, subtasks: int, pace: float, *, seat: int) -> list[str]:
    """The argv of one seat. Isolated and without site packages: a dozen interpreters start at once."""
    words = {"role": part.role, "trouble": part.trouble, "subtasks": subtasks, "pace": pace,
             "after": part.after, "seat": seat}  # fmt: skip
    flags = [text for name, value in words.items() for text in (f"--{name}", str(value))]
    return [sys.executable, "-I", "-S", str(SCRIPT), *flags]


def _yaml(mapping: Mapping[str, Any], indent: str = "") -> list[str]:
    """The lines of a mapping whose keys are plain words. JSON values are YAML values as they are."""
    lines = []
    for key, value in mapping.items():
        if isinstance(value, dict):
            lines += [f"{indent}{key}:", *_yaml(value, indent + "  ")]
        else:
            lines.append(f"{indent}{key}: {json.dumps(value, ensure_ascii=False)}")
    return lines
