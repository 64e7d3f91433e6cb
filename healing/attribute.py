"""From a true exit status to a cause. Pane text is believed only where the profile says so and the
status agrees: loose words in a log once made every "api ... error" a reason to restart for ever."""

from __future__ import annotations

import re
from signal import Signals

from ..config.fleet import Profile
from .repeats import strip_escapes

BY_STATUS = {124: "timeout", 126: "permission", 130: "sigint", 137: "killed", 143: "killed"}
BY_SIGNAL = {Signals.SIGINT: "sigint", Signals.SIGKILL: "killed", Signals.SIGTERM: "killed"}


def cause_of_exit(
    status: int | None, signal: int | None, tail: tuple[str, ...], profile: Profile
) -> tuple[str, str]:
    """(cause of contract.md section 5, detail in words) of a process that ended when it should not have."""
    if signal is not None:
        return BY_SIGNAL.get(_known(signal), "crash"), _signal_name(signal)
    if status is None:
        return "unknown", "exit status unknown"
    if status in profile.exit_codes:
        return profile.exit_codes[status], f"exit {status}"
    text = "\n".join(strip_escapes(line) for line in tail)
    for rule in profile.exits:
        agrees = status in rule.status if rule.status else status != 0
        if agrees and (found := re.search(rule.pattern, text)):
            return rule.cause, f"exit {status}: {found.group(0)[:120]}"
    if status in BY_STATUS:
        return BY_STATUS[status], _exit_words(status)
    return "crash", _exit_words(status)


def _exit_words(status: int) -> str:
    words = {126: " (found but could not be run)", 127: " (command not found)", 124: " (timed out)"}
    if status > 128 and status - 128 in set(Signals):
        return f"exit {status} ({_signal_name(status - 128)})"
    return f"exit {status}{words.get(status, '')}"


def _known(signal: int) -> Signals:
    return Signals(signal) if signal in set(Signals) else Signals.SIGABRT


def _signal_name(signal: int) -> str:
    return Signals(signal).name if signal in set(Signals) else f"signal {signal}"
