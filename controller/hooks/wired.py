"""Where hooks are wired on this machine, for `hooks status` and `doctor`. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...config.fleet import Profile, Seat
from ...config.profiles import LaunchError, launch_env
from .installing import Refused, Wiring
from .records import Records
from .table import KINDS


def wiring_of(profile: Profile, environ: Mapping[str, str], state_root: Path) -> Wiring:
    """The wiring of the CLI in the environment in which an agent of this profile would be started. Raises
    LaunchError."""
    return Wiring(KINDS[profile.hooks], launch_env(Seat(profile=profile), environ), Records(state_root))


def wired_hooks(
    profiles: Mapping[str, Profile], environ: Mapping[str, str], state_root: Path
) -> dict[str, tuple[str, str]]:
    """Profile name -> (what is wired, what to do about it, "" for nothing), for those with a hook system."""
    found: dict[str, tuple[str, str]] = {}
    for name, profile in profiles.items():
        if not profile.hooks or KINDS[profile.hooks].place is None:
            continue
        try:
            wiring = wiring_of(profile, environ, state_root)
            events, path = wiring.wired(), wiring.path
        except (Refused, LaunchError, OSError) as error:
            found[name] = f"cannot be looked at: {error}", "see what it names"
            continue
        told = f"{len(events)} wired in {path}" if events else "not wired; its screen and transcript are read"
        found[name] = told, "" if events else f"hhmrs hooks install {name}"
    return found
