"""The settings file of the older system, `pas_settings.json`, in the words of a fleet file.

Every key of it is either taken over or named with the reason why not; a value of the wrong type is a problem
with its place, and nothing is written then. What it says is somebody else's text: only numbers and switches
are taken over, the rest is told as inert words in a comment.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .durations import format_duration
from .files import as_text, read_bytes, refusal
from .fleet import ALERTS
from .nodes import Mapping, Node, read_nodes
from .policies import INTERVAL
from .problems import ConfigError, Problem, inert
from .shapes import Report, Shape, flag, number, text, whole

GATE = 2
"""The older monitor waited for two missed beats whatever its threshold was."""
MOST = 200
"""Keys that are named in the comments one by one."""
_ESCAPES = re.compile(r"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u....|\\.")
_PRIVATE = re.compile("pass|secret|token|key|hook|url|auth|credential", re.IGNORECASE)
"""Part of a name whose value is nobody's business, and in no comment."""
_HALF = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(slots=True)
class Taken:
    """What a settings file becomes: lines of a policy as (key, value, where it comes from), and what is not
    taken over as (key, value, why)."""

    policy: list[tuple[str, str, str]] = field(default_factory=list)
    left: list[tuple[str, str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Known:
    """A key of the older file: what may stand there, and why it is not taken over; `why` empty: it is."""

    shape: Shape[Any]
    why: str = ""


_amount = number(0, 1e9)
_count = whole(0, 1_000_000)
_words = text("text", empty=True, lines=True)
_TOGGLES = {
    "timeout": "timeout",
    "restart": "restart",
    "escalation": "escalation",
    "permanent_failure": "failure",
    "failure": "failure",
}
"""Switches of the older chime -> the alert that is meant. Files spell them `on_x`, `x` or `x_enabled`."""
_SCREEN = "the screen shows it whenever there is something to show"
_QUEUE = "tasks are taken in the order in which they came"
_ADDRESS = "an address or a secret: name it under `notify:` and keep the secret in the environment"

_KNOWN: dict[str, dict[str, _Known]] = {
    "hhmrs": {
        "heartbeat_interval_s": _Known(_amount),
        "timeout_threshold_s": _Known(_amount),
        "missed_heartbeat_threshold": _Known(_count),
        "max_restarts": _Known(_count),
        "max_llm_retries": _Known(_count),
        "max_failed_tasks": _Known(_count),
        "enable_auto_restart": _Known(flag),
        "enable_llm_switching": _Known(flag),
    },
    "tron_chime": {
        "enabled": _Known(flag),
        "sound": _Known(_words, "the terminal's bell has one sound"),
        "volume": _Known(_amount, "how loud the bell is, the terminal says"),
        **{
            name: _Known(flag)
            for event in _TOGGLES
            for name in (f"on_{event}", event, f"{event}_enabled", f"chime_on_{event}")
        },
    },
    "hmi_display": {
        "show_tron_status_bar": _Known(
            flag, "the bar is there only while there is an intervention to tell of"
        ),
        "auto_refresh_interval_s": _Known(_amount, "the screen looks four times a second"),
        "theme": _Known(
            _words, "the screen's colours are chosen in its palette (ctrl+p) or by TEXTUAL_THEME"
        ),
        "show_agent_tree": _Known(flag, _SCREEN),
        "show_metrics_panel": _Known(flag, "the dashboards stand on a key of their own (d)"),
    },
    "tasks": {
        "task_timeout_minutes": _Known(_amount),
        "max_concurrent_tasks": _Known(
            _count, "each agent has one task at a time; more agents do more at once (count:)"
        ),
        "enable_task_priority": _Known(flag, _QUEUE),
        "auto_archive_completed": _Known(flag, "finished tasks stay in the ledger; `hhmrs tasks` lists them"),
        "auto_archive_completed_hours": _Known(_amount, "finished tasks stay in the ledger"),
        "auto_archive_after_hours": _Known(_amount, "finished tasks stay in the ledger"),
        "auto_cleanup_days": _Known(
            _amount, "the work that is kept is bounded by `keep.age`, which is no matter of tasks"
        ),
        "retry_failed_tasks": _Known(
            flag, "a failed task waits in the retry queue for a person (`hhmrs retry`)"
        ),
        "max_task_retries": _Known(_count, "attempts are counted by max_restarts and max_llm_retries"),
    },
    "notifications": {
        "notify_on_permanent_failure": _Known(
            flag, "an agent that is given up is always told to every entry of `notify:`"
        ),
        "notify_on_completion": _Known(flag, "finished tasks are not told; `hhmrs events --follow` has them"),
    },
}


def take_over(path: Path) -> Taken:
    """What the file at `path` says. Raises ConfigError with all that is wrong with it."""
    source = as_text(path, read_bytes(path, "a settings file"))
    _check_json(path, source)
    # JSON is YAML but for tabs between its parts (none can stand in a text) and characters in two halves.
    root, flaws = read_nodes(_ESCAPES.sub(_whole, source).replace("\t", " "))
    report = Report(
        [(flaw.line, flaw.col, flaw.message.replace("not YAML", "not readable")) for flaw in flaws]
    )
    if isinstance(root, Mapping):
        taken = _Reader(report).read(root)
        if not report.found:
            return taken
    elif not report.found:
        report.found.append((1, 1, "found no JSON object, expected one with the settings"))
    raise ConfigError(Problem(path, *found) for found in report.found)


def _whole(escape: re.Match[str]) -> str:
    """An escape of JSON as one of YAML: two halves as the character that they are, one alone as none."""
    if len(escape[0]) > len("\\u1234"):
        return f"\\U{ord(json.loads(_quoted(escape[0]))):08x}"
    return "\\ufffd" if _HALF.match(escape[0]) else escape[0]


def _quoted(inner: str) -> str:
    return f'"{inner}"'


def _check_json(path: Path, source: str) -> None:
    def constant(name: str) -> float:
        raise refusal(path, 1, 1, f"not JSON: {name} is no number, expected a JSON object")

    try:
        json.loads(source, parse_constant=constant)
    except json.JSONDecodeError as error:
        message = f"not JSON: {inert(error.msg, 120)}, expected a JSON object"
        raise refusal(path, error.lineno, error.colno, message) from None
    except RecursionError:
        raise refusal(path, 1, 1, "not JSON: nested too deep, expected an object of settings") from None
    except (ValueError, OverflowError):
        raise refusal(path, 1, 1, "not JSON: a number is far too long, expected settings") from None


class _Reader:
    """Goes through the file once; `said` holds what the keys that are taken over say."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._taken = Taken()
        self._said: dict[str, Any] = {}

    def read(self, root: Mapping) -> Taken:
        for section, (_, node) in root.entries.items():
            with self._report.inside(section):
                self._section(section, node)
        if not self._report.found:
            for step in (self._silence, self._budgets, self._deadline, self._chime):
                self._taken.policy += step()
        return self._taken

    def _section(self, section: str, node: Node) -> None:
        known = _KNOWN.get(section)
        if known is None or not isinstance(node, Mapping):
            if known is not None:
                self._report.mismatch(node, "an object with its settings")
            else:
                self._leave(section, node, "nothing here is called so")
            return
        for key, (_, value) in node.entries.items():
            with self._report.inside(key):
                self._key(section, key, value, known.get(key))

    def _key(self, section: str, key: str, node: Node, known: _Known | None) -> None:
        name = f"{section}.{key}"
        if known is None:
            address = section == "notifications" and key.startswith(("email", "slack"))
            why = _ADDRESS if address else "nothing here is called so"
            self._leave(name, node, why, told=not (address or _PRIVATE.search(key)))
            return
        value = known.shape(node, self._report)
        if value is None:
            return
        if known.why:
            self._leave(name, node, known.why)
        else:
            self._said[name] = value

    def _leave(self, name: str, node: Node, why: str, *, told: bool = True) -> None:
        self._taken.left.append((inert(name, 120), _in_short(node) if told else "...", why))

    # -- what is taken over -----------------------------------------------------------------------
    def _silence(self) -> Iterator[tuple[str, str, str]]:
        interval = self._said.get("hhmrs.heartbeat_interval_s")
        threshold = self._said.get("hhmrs.timeout_threshold_s")
        missed = self._said.get("hhmrs.missed_heartbeat_threshold")
        beat = 30.0
        if interval is not None:
            beat = min(max(interval, INTERVAL[0]), INTERVAL[1])
            bound = "" if beat == interval else f", and {format_duration(beat)} is the nearest that is legal"
            yield (
                "heartbeat_interval",
                format_duration(beat),
                f"hhmrs.heartbeat_interval_s = {interval:g}{bound}",
            )
        if threshold is not None:
            count = max(GATE, math.ceil(threshold / beat - 1e-9))
            why = f"hhmrs.timeout_threshold_s = {threshold:g}; never below {GATE} beats"
            yield "missed_heartbeats", str(min(count, 1000)), why
            if missed is not None:
                why = (
                    "hhmrs.timeout_threshold_s says it already; no program of the older system read this one"
                )
                self._taken.left.append(("hhmrs.missed_heartbeat_threshold", f"{missed}", why))
        elif missed is not None:
            count = min(max(1, missed), 1000)
            bound = "" if count == missed else f", and {count} is the nearest that is legal"
            yield "missed_heartbeats", str(count), f"hhmrs.missed_heartbeat_threshold = {missed}{bound}"

    def _budgets(self) -> Iterator[tuple[str, str, str]]:
        yield from self._budget("max_restarts", ("max_restarts",), "enable_auto_restart")
        yield from self._budget(
            "max_llm_retries", ("max_llm_retries", "max_failed_tasks"), "enable_llm_switching"
        )

    def _budget(self, key: str, names: tuple[str, ...], switch: str) -> Iterator[tuple[str, str, str]]:
        given = [
            (f"hhmrs.{name}", self._said[f"hhmrs.{name}"]) for name in names if f"hhmrs.{name}" in self._said
        ]
        on = self._said.get(f"hhmrs.{switch}")
        if on is False:
            yield key, "0", f"hhmrs.{switch} = false"
        elif given:
            bound = "" if given[0][1] <= 1000 else ", and 1000 is the most that is legal"
            yield key, str(min(given[0][1], 1000)), f"{given[0][0]} = {given[0][1]}{bound}"
        if on is True:
            self._taken.left.append((f"hhmrs.{switch}", "true", f"it is always on; {key}: 0 turns it off"))
        for name, value in given[0 if on is False else 1 :]:
            self._taken.left.append((name, str(value), f"{key} is said by another key already"))

    def _deadline(self) -> Iterator[tuple[str, str, str]]:
        minutes = self._said.get("tasks.task_timeout_minutes")
        if minutes is None:
            return
        if 0 < minutes * 60 <= 10_000 * 3600:
            yield "task_deadline", format_duration(minutes * 60), f"tasks.task_timeout_minutes = {minutes:g}"
        else:
            self._taken.left.append(
                ("tasks.task_timeout_minutes", f"{minutes:g}", "no task can last that long")
            )

    def _chime(self) -> Iterator[tuple[str, str, str]]:
        said = {
            key.partition(".")[2]: value for key, value in self._said.items() if key.startswith("tron_chime.")
        }
        if not said:
            return
        rung = {"timeout", "escalation", "failure"}
        for event, alert in _TOGGLES.items():
            for name, value in said.items():
                if name != "enabled" and event in name:
                    rung = rung | {alert} if value else rung - {alert}
        if said.get("enabled") is False:
            rung = set()
        value = ", ".join(alert for alert in ALERTS if alert in rung)
        told = ", ".join(f"{name} = {str(value).lower()}" for name, value in said.items())
        yield "alerts", f"{{bell: [{value}]}}", f"tron_chime: {told}"


def _in_short(node: Node) -> str:
    raw = getattr(node, "raw", None)
    if isinstance(raw, str):
        return inert(raw, 60)
    return "{...}" if isinstance(node, Mapping) else "[...]"


def policy_lines(taken: Taken) -> str:
    """The lines of a `policy:` block, each with where it comes from."""
    lines = [f"  {key}: {value}" for key, value, _ in taken.policy]
    return "".join(
        f"{line:<31} # was {inert(why, 1000)}\n"
        for line, (_, _, why) in zip(lines, taken.policy, strict=True)
    )


def left_lines(taken: Taken, name: str) -> str:
    """The comment that names what is not taken over, and why."""
    if not taken.left:
        return f"# Everything in {inert(name, 120)} is taken over.\n"
    lines = [f"# Not taken over from {inert(name, 120)}:\n"]
    lines += [f"#   {key} = {value}: {why}\n" for key, value, why in taken.left[:MOST]]
    if len(taken.left) > MOST:
        lines.append(f"#   and {len(taken.left) - MOST} more keys that have no meaning here\n")
    return "".join(lines)
