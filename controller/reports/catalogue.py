"""The profiles that may be used here: what each can do, and whether its program is installed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ...config.environment import passed
from ...config.fleet import Profile
from ...config.profiles import builtin_profiles

PATIENCE = 10.0
"""Seconds a program may take to tell its version."""
AT_ONCE = 4
_VERSION = re.compile(r"\d+(?:\.\d+)+(?:[-+.]?[0-9A-Za-z]+)*")
Resume = Literal["own id", "discovered", "by hooks", "newest", "none"]
"""`own id`: it is started under one of ours. `discovered`: it mints its own, which its transcript tells.
`by hooks`: only its hooks tell it, once they are installed. `newest`: what comes back is the newest
conversation of the folder. `none`: nobody learns its id, a resume is a start with the handoff."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One profile. `path`, and `found` (the version it tells): None where there is no such program, no
    answer."""

    name: str
    about: str
    source: Literal["built-in", "changed", "fleet file"]
    checked: str
    version: str | None
    program: str | None
    path: str | None
    found: str | None
    resume: Resume
    hooks: bool
    autonomy: tuple[str, ...]
    ready: bool
    transcript: bool

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def catalogue(
    profiles: Mapping[str, Profile],
    environ: Mapping[str, str],
    hooked: Iterable[str] = (),
    patience: float = PATIENCE,
) -> list[Entry]:
    """An entry for each of `profiles`, in their order. Programs found on PATH are asked for their versions,
    some at once, each for `patience` seconds. `hooked`: profiles whose hooks can be installed."""
    known, named = builtin_profiles(), frozenset(hooked)
    wanted = {_program(profile): profile for profile in profiles.values() if _program(profile)}
    with ThreadPoolExecutor(AT_ONCE) as threads:
        answers = threads.map(lambda each: _asked(each[0], each[1], environ, patience), wanted.items())
        found = dict(zip(wanted, answers, strict=True))
    return [_entry(profile, known.get(name), found, name in named) for name, profile in profiles.items()]


def resume_of(profile: Profile, *, hooks: bool) -> Resume:
    """How its conversation is brought back."""
    if not profile.resume_args:
        return "none"
    if "{session}" not in " ".join(profile.resume_args):
        return "newest"
    if profile.session_args:
        return "own id"
    learned = any("{session" in rule.file or rule.session for rule in profile.transcripts)
    return "discovered" if learned else "by hooks" if hooks else "none"


def _entry(
    profile: Profile,
    built_in: Profile | None,
    found: Mapping[str, tuple[str | None, str | None]],
    hooks: bool,
) -> Entry:
    program = _program(profile)
    path, version = found.get(program, (None, None))
    return Entry(
        name=profile.name,
        about=profile.about,
        source="fleet file" if built_in is None else "built-in" if built_in == profile else "changed",
        checked=profile.checked,
        version=profile.version,
        program=program or None,
        path=path,
        found=version,
        resume=resume_of(profile, hooks=hooks),
        hooks=hooks,
        autonomy=profile.autonomy_args,
        ready=profile.ready is not None,
        transcript=bool(profile.transcripts),
    )


def _program(profile: Profile) -> str:
    return profile.command[0] if profile.command else ""


def _asked(
    program: str, profile: Profile, environ: Mapping[str, str], patience: float
) -> tuple[str | None, str | None]:
    """Where the program is, and the version it tells."""
    path = shutil.which(program, path=environ.get("PATH", os.defpath))
    if path is None:
        return None, None
    try:
        child = subprocess.Popen(
            [path, "--version"],
            env=passed(profile, environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return path, None
    with child:
        try:
            told = child.communicate(timeout=patience)[0][:4096]
        except subprocess.TimeoutExpired:
            # What it started holds the pipe open as well.
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            return path, None
    said = _VERSION.search(told.decode("utf-8", "replace"))
    return path, said[0][:40] if said else None
