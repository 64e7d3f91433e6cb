"""Built-in profiles, and what to run for a seat. Nothing here looks at the environment by itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from ..environment import passed
from ..fleet import Profile, Seat
from ..nodes import read_nodes
from ..profile_fields import as_profile, read_profile
from ..references import UnsetVariable, resolve_references
from ..shapes import Report

BUILTIN = (
    "claude", "codex", "gemini", "qwen", "opencode", "copilot", "aider", "goose", "crush", "cursor", "amp",
    "shell",
)  # fmt: skip
_SAFE_SESSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}")
_PLACEHOLDER = re.compile(r"\{(model|prompt|session)\}")


class LaunchError(Exception):
    """A seat cannot be started as it is; the message says why and what to do."""


@cache
def builtin_values() -> Mapping[str, Mapping[str, Any]]:
    """Profile name -> its values as the shapes of `profile_fields` read them."""
    folder = files(__name__)
    found: dict[str, Mapping[str, Any]] = {}
    for name in BUILTIN:
        report = Report()
        root, flaws = read_nodes(folder.joinpath(f"{name}.yaml").read_text(encoding="utf-8"))
        values = read_profile(root, report) if root is not None else None
        if values is None or flaws or report.found:
            wrong = [*flaws, *report.found]
            raise RuntimeError(f"the installed {name}.yaml is damaged, reinstall hhmrs-tui: {wrong}")
        found[name] = values.values
    return found


def builtin_profiles() -> dict[str, Profile]:
    """The profiles that need no words in a fleet file."""
    return {name: as_profile(name, values) for name, values in builtin_values().items()}


def can_resume(seat: Seat, session: str | None) -> bool:
    """The CLI can bring its conversation back: it has a way, and the session id if that way needs one."""
    template = seat.profile.resume_args
    return bool(template) and _filled(template, {"session": _safe(session)}, ignore=("model", "prompt")) != []


def types_prompt(seat: Seat, *, resume: bool) -> bool:
    """No argument submits the prompt: it must be typed once the agent is ready."""
    return seat.profile.type_prompt == "always" or (resume and seat.profile.type_prompt == "resumed")


def launch_argv(seat: Seat, *, prompt: str | None, session: str | None, resume: bool) -> list[str]:
    """What to execute, no shell between. `session` is the native id to bring back, or to start under.

    A template that names a placeholder without a value is left out whole. A session id that is not plain
    (it may come from a file an agent wrote) counts as none. Raises LaunchError when there is no command."""
    profile = seat.profile
    command = seat.command or profile.command
    if not command:
        raise LaunchError(f"profile {profile.name} has no command; give the agent one with `command: [...]`")
    values = {"model": seat.model, "prompt": prompt or None, "session": _safe(session)}
    argv = [*command, *_filled(profile.model_args, values)]
    if resume and (back := _filled(profile.resume_args, values)):
        return [*argv, *back, *_filled(profile.resume_prompt_args, values)]
    return [*argv, *_filled(profile.session_args, values), *_filled(profile.prompt_args, values)]


def _safe(session: str | None) -> str | None:
    return session if session and _SAFE_SESSION.fullmatch(session) else None


def _filled(
    template: Sequence[str], values: Mapping[str, str | None], ignore: Sequence[str] = ()
) -> list[str]:
    """`template` with its placeholders replaced once (what a prompt says is not looked at again), or []."""
    named = {name for part in template for name in _PLACEHOLDER.findall(part)} - set(ignore)
    if any(values.get(name) is None for name in named):
        return []
    return [_fill(part, values) for part in template]


def _fill(part: str, values: Mapping[str, str | None]) -> str:
    filled = _PLACEHOLDER.sub(lambda found: values.get(found[1]) or "", part).replace("\0", "")
    # a prompt is words, never a flag: one that begins with a dash must not become an option of the CLI
    return f" {filled}" if part == "{prompt}" and filled.startswith("-") else filled


def launch_env(seat: Seat, base: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a seat: what its profile lets pass of `base`, with both `env`s laid over it.

    ${VAR} is looked up in all of `base`, `$$` is a dollar sign. Raises LaunchError naming what is not set."""
    profile = seat.profile
    env = passed(profile, base)
    for name, value in {**profile.env, **seat.env}.items():
        try:
            env[name] = resolve_references(value, base)
        except UnsetVariable as error:
            raise LaunchError(
                f"{name} of {seat.label} needs ${{{error.name}}}, but that is not set; "
                f"export {error.name} before the daemon starts, or take it out of `env`"
            ) from None
    return env
