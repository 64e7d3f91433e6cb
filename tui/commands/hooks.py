"""`hooks`: an agent CLI's own hook system wired to the inbox, taken out again, and looked at."""

from __future__ import annotations

import difflib
import os
from typing import TYPE_CHECKING

from .output import Screen, inert
from .parsing import PROGRAM, Call
from .place import find_place
from .refusal import UNHEALTHY, NoFleetFile, Refusal, usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...config.fleet import Profile
    from ...controller.hooks.installing import Plan, Wiring
    from ...controller.hooks.kinds import Kind


ACTIONS = ("install", "remove", "status")


def hooks(call: Call, screen: Screen) -> int:
    action, name = call.get("action"), call.get("profile")
    if action not in ACTIONS:
        raise usage(f"{PROGRAM} hooks: {inert(action, 60)!r} is none of {', '.join(ACTIONS)}")
    profiles = _profiles(call)
    if action == "status":
        return _status(call, screen, profiles, name)
    if name is None:
        raise usage(f"{PROGRAM} hooks {action}: which PROFILE? One of {', '.join(_wirable(profiles))}")
    profile = _profile(profiles, name)
    kind = _kind(profile)
    if kind.place is None:
        return _told(call, screen, profile.name, False, "", kind.instead)
    return _act(call, screen, _wiring(profile), profile.name)


def _act(call: Call, screen: Screen, wiring: Wiring, profile: str) -> int:
    from ...controller.hooks.installing import Refused

    install, dry = call.get("action") == "install", bool(call.get("dry_run"))
    try:
        plan = wiring.installing() if install else wiring.removing()
        if not dry:
            wiring.install(plan) if install else wiring.remove(plan)
    except (Refused, OSError) as error:
        raise Refusal(UNHEALTHY, f"{PROGRAM} hooks: {inert(error, 1000)}") from None
    if dry:
        return _shown(call, screen, plan, profile)
    afterwards = wiring.kind.afterwards if install else ""
    return _told(call, screen, profile, plan.changes, str(plan.path), plan.words, afterwards)


def _shown(call: Call, screen: Screen, plan: Plan, profile: str) -> int:
    """What would change, as a difference."""
    before, after = (
        (text or b"").decode("utf-8", "replace").splitlines() for text in (plan.before, plan.after)
    )
    difference = list(difflib.unified_diff(before, after, str(plan.path), str(plan.path), lineterm=""))
    if call.json:
        screen.document({"profile": profile, "file": str(plan.path), "changed": False,
                         "would_change": plan.changes, "difference": difference})  # fmt: skip
        return 0
    for line in difference or [f"nothing would change: {plan.words}"]:
        screen.say(inert(line, 2000))
    return 0


def _told(
    call: Call, screen: Screen, profile: str, changed: bool, file: str, words: str, afterwards: str = ""
) -> int:
    if call.json:
        screen.document({"profile": profile, "file": file, "changed": changed, "message": words,
                         "then": afterwards})  # fmt: skip
        return 0
    screen.say(inert(words, 2000))
    if afterwards:
        screen.say(f"then: {inert(afterwards, 1000)}")
    return 0


def _status(call: Call, screen: Screen, profiles: Mapping[str, Profile], name: str | None) -> int:
    from ...controller.hooks.installing import Refused

    chosen = [_profile(profiles, name)] if name is not None else [profiles[one] for one in _wirable(profiles)]
    found: list[dict[str, object]] = []
    for profile in chosen:
        kind = _kind(profile)
        if kind.place is None:
            found.append(
                {"profile": profile.name, "file": "", "events": [], "message": "it has no hook system"}
            )
            continue
        wiring, file = _wiring(profile), ""
        try:
            file = str(wiring.path)
            events = wiring.wired()
            words = f"{len(events)} hooks" if events else "not installed"
        except (Refused, OSError) as error:
            events, words = [], str(error)
        found.append({"profile": profile.name, "file": file, "events": events, "message": words})
    if call.json:
        screen.document({"hooks": found})
        return 0
    for line in screen.columns(
        [[str(one["profile"]), str(one["message"]), str(one["file"])] for one in found]
    ):
        screen.say(inert(line, 2000))
    return 0


def _profiles(call: Call) -> Mapping[str, Profile]:
    """Those of the fleet file, if one is named or found; else the built-in ones."""
    from ...config.profiles import builtin_profiles

    try:
        return find_place(call).need_spec().profiles
    except NoFleetFile:
        return builtin_profiles()


def _profile(profiles: Mapping[str, Profile], name: str) -> Profile:
    from ...config.problems import closest

    if name not in profiles:
        near = closest(name, list(profiles)) or f"; there are {', '.join(sorted(profiles))}"
        raise usage(f"{PROGRAM} hooks: no profile {inert(name, 60)!r}{near}")
    if not profiles[name].hooks:
        known = ", ".join(_wirable(profiles))
        raise usage(f"{PROGRAM} hooks: profile {name} has no hook system that is known; these have: {known}")
    return profiles[name]


def _wirable(profiles: Mapping[str, Profile]) -> list[str]:
    return [name for name, profile in profiles.items() if profile.hooks]


def _kind(profile: Profile) -> Kind:
    from ...controller.hooks.table import KINDS

    return KINDS[profile.hooks]


def _wiring(profile: Profile) -> Wiring:
    from ...config.paths import state_root
    from ...config.profiles import LaunchError
    from ...controller.hooks.wired import wiring_of

    try:
        return wiring_of(profile, os.environ, state_root())
    except LaunchError as error:
        raise usage(f"{PROGRAM} hooks: {inert(error, 500)}") from None
