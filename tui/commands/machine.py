"""`doctor`: is this machine fit to supervise, and how to mend what is not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .output import Screen, inert
from .parsing import PROGRAM, Call
from .place import find_place
from .refusal import UNHEALTHY, NoFleetFile, Refusal

if TYPE_CHECKING:
    from ...config.fleet import FleetSpec
    from ...controller.reports.doctor import Finding

_TONES = {"ok": "good", "warn": "limit", "fail": "bad"}


def doctor(call: Call, screen: Screen) -> int:
    from ...config.paths import state_root
    from ...config.profiles import builtin_profiles
    from ...controller.reports.doctor import Machine, examine

    fleet, trouble = _fleet_if_any(call)
    findings = [*examine(Machine(dict(os.environ), state_root(), fleet, builtin_profiles())), *trouble]
    failed = any(finding.level == "fail" for finding in findings)
    if call.json:
        screen.document({"ok": not failed, "fleet": fleet.fleet if fleet else None,
                         "findings": [finding.as_json() for finding in findings]})  # fmt: skip
        return UNHEALTHY if failed else 0
    lines = screen.columns([[f.level, f.topic, inert(f.what)] for f in findings])
    for finding, line in zip(findings, lines, strict=True):
        screen.say(line.replace(finding.level, screen.style(finding.level, _TONES[finding.level]), 1))
        if finding.mend:
            screen.say(f"      mend: {inert(finding.mend)}")
    return UNHEALTHY if failed else 0


def _fleet_if_any(call: Call) -> tuple[FleetSpec | None, list[Finding]]:
    """The fleet whose agents are to be looked for. Without one the machine alone is examined; a file that was
    named must be valid, one that was merely found may be broken: that is a finding."""
    from ...controller.reports.doctor import Finding

    try:
        return find_place(call).need_spec(), []
    except Refusal as no:
        if call.get("config") is not None or call.get("fleet") is not None:
            raise
        if isinstance(no, NoFleetFile):
            return None, []
        return None, [Finding("fail", "fleet file", no.lines[0], f"{PROGRAM} check")]
