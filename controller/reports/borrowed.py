"""What the fleet file takes from the environment, `${NAME}`, and the notifications: is all of it there before
the night begins? Nothing is sent, and no value is told."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

from ...config.profiles import LaunchError, launch_env
from ...config.references import UnsetVariable, resolve_references
from .findings import Finding, Level, Machine

HERE = "as seen from here; what counts is the environment in which the daemon was started"


def environments(machine: Machine) -> Iterable[Finding]:
    """A finding for each seat that lacks a variable to be started; what many share is told once."""
    seen: set[tuple[str, Level]] = set()
    for agent in machine.fleet.agents.values() if machine.fleet else ():
        for number, seat in enumerate(agent.seats):
            level: Level = "warn" if number else "fail"
            try:
                launch_env(seat, machine.environ)
            except LaunchError as error:
                if (key := (str(error), level)) not in seen:
                    seen.add(key)
                    what, _, mend = str(error).partition("; ")
                    yield Finding(level, "environment", f"agent {agent.id}: {what} ({HERE})", mend)


def notifications(machine: Machine) -> Iterable[Finding]:
    """Whether the one alert per incident could go out at all."""
    urls = machine.fleet.notify if machine.fleet else ()
    if not urls:
        return
    if find_spec("apprise") is None:
        what = "`notify:` is set, but Apprise is not installed: nobody would be told"
        yield Finding("fail", "notify", what, "install hhmrs-tui with its extra: pip install '.[notify]'")
        return
    unset = []
    for number, url in enumerate(urls, 1):
        try:
            resolve_references(url, machine.environ)
        except UnsetVariable as error:
            unset.append(number)
            what = f"entry {number} needs ${{{error.name}}}, which is not set ({HERE})"
            yield Finding("fail", "notify", what, f"export {error.name} before the daemon starts")
    if not unset:
        entries = f"{len(urls)} entr{'y' if len(urls) == 1 else 'ies'}"
        yield Finding("ok", "notify", f"{entries}, nothing sent; `hhmrs escalate AGENT` would send one")
