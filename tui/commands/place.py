"""Which fleet a command is about: its file, its state directory, its agents, its daemon."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...config.problems import ConfigError, Problem, closest
from .output import complain, inert
from .parsing import PROGRAM, Call
from .refusal import NO_DAEMON, NoFleetFile, Refusal, usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...config.fleet import AgentSpec, FleetSpec
    from ...config.paths import StateDir
    from ...controller.ledger.lock import Holder
    from ...controller.ledger.writer import LedgerReader

NAMED = 8
"""Agents that are named when a name is like none of them."""
_FLEET_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


@dataclass(frozen=True, slots=True)
class Place:
    """`spec` is None when the fleet was named and its file is gone or no longer valid; `problems` say why.

    `moved`: what is wrong with what stands in workspaces' places by now, which is no fault of the file."""

    state: StateDir
    config: Path | None
    spec: FleetSpec | None
    problems: tuple[str, ...] = ()
    moved: tuple[Problem, ...] = ()

    def need_spec(self) -> FleetSpec:
        """The valid fleet file. Raises Refusal (exit 2) with one line per problem."""
        if self.spec is None:
            raise usage(*self.problems)
        return self.spec

    def reader(self) -> LedgerReader | None:
        """The book, to be read only; None when no daemon ever wrote one. Raises LedgerError."""
        if not self.state.ledger.exists():
            return None
        from ...controller.ledger.writer import LedgerReader

        return LedgerReader(self.state.ledger)

    def holder(self) -> Holder | None:
        """The fleet's live daemon, if any."""
        from ...controller.ledger.lock import read_holder

        return read_holder(self.state)

    def is_supervised(self) -> bool:
        return self.holder() is not None

    def is_known(self) -> bool:
        """Whether a daemon ran by this very file."""
        return self.spec is not None and self.reader() is not None

    def need_daemon(self) -> Holder:
        """The running daemon. Raises Refusal (exit 3)."""
        holder = self.holder()
        if holder is None:
            raise Refusal(NO_DAEMON, self.no_daemon())
        return holder

    def no_daemon(self) -> str:
        return (
            f"{PROGRAM}: no daemon is running for fleet {self.state.fleet}; start it with `{self.hint('up')}`"
        )

    def stopped_daemon(self, pid: int) -> str:
        who = f"the daemon of fleet {self.state.fleet}, pid {pid}, is stopped (state T)"
        return f"{PROGRAM}: {who} and supervises nothing; let it go on with `kill -CONT {pid}`"

    def hint(self, command: str) -> str:
        """A command line that means this same fleet from any folder."""
        return (
            f"{PROGRAM} {command} --fleet {self.state.fleet}"
            if self.state.ledger.exists()
            else (f"{PROGRAM} {command} --config {self.config}" if self.config else f"{PROGRAM} {command}")
        )


def is_fleet_name(name: str) -> bool:
    return _FLEET_NAME.fullmatch(name) is not None


def find_place(call: Call, forgives: Callable[[Place], bool] = Place.is_known) -> Place:
    """The fleet that `--config`, `--fleet` or the current folder names. Raises Refusal or ConfigError.

    An agent can put anything in its own workspace's place. Once the file has been run this keeps nobody from
    the other agents: it is told, and the command goes on, where `forgives` says so."""
    place = _named(call)
    if place.moved:
        if not (place.is_known() and forgives(place)):
            raise ConfigError(place.moved)
        complain(*(inert(problem, 1000) for problem in place.moved))
    return place


def _named(call: Call) -> Place:
    config, fleet = call.get("config"), call.get("fleet")
    if fleet is not None and not _FLEET_NAME.fullmatch(fleet):
        raise usage(
            f"{PROGRAM}: --fleet {inert(fleet, 60)!r}: a fleet's name is made of a-z, 0-9 and -, at most 32"
        )
    if config is None and fleet is not None:
        return _by_name(fleet)
    place = _by_file(_given(config) if config is not None else _found())
    if fleet is not None and place.state.fleet != fleet:
        raise usage(
            f"{PROGRAM}: {inert(place.config)} is fleet {place.state.fleet}, not {fleet}; give one of the two"
        )
    return place


def _given(config: str) -> Path:
    if "\0" in config:
        raise usage(f"{PROGRAM}: --config {inert(config, 60)!r} is no file name")
    return Path(config).expanduser()


def _found() -> Path:
    from ...config.paths import find_fleet_file

    try:
        here = Path.cwd()
    except FileNotFoundError:
        raise usage(f"{PROGRAM}: the current folder does not exist any more; go to another one") from None
    path = find_fleet_file(here)
    if path is None:
        ways = f"write one with `{PROGRAM} init`, name it with --config FILE, or see `{PROGRAM} demo`"
        raise NoFleetFile(f"{PROGRAM}: no hhmrs.yaml in {inert(here)} or above it; {ways}")
    return path


def _by_file(path: Path) -> Place:
    from ...config.loading import load_fleet
    from ...config.paths import StateDir, state_root

    moved: list[Problem] = []
    spec = load_fleet(path, moved=moved)
    place = Place(StateDir(state_root(), spec.fleet), spec.path, spec, moved=tuple(moved))
    _check_owner(place)
    return place


def _check_owner(place: Place) -> None:
    """Two files of one name would share a state directory: refuse the second."""
    from ...controller.ledger.errors import LedgerOwned, check_owner

    try:
        reader = place.reader()
        if reader is not None and place.config is not None:
            check_owner(reader.meta(), place.state.fleet, place.config)
    except LedgerOwned as clash:
        raise usage(f"{PROGRAM}: {inert(clash, 1000)}") from None


def _by_name(fleet: str) -> Place:
    """A fleet that was run before: its book knows where its file is."""
    from ...config.loading import load_fleet
    from ...config.paths import StateDir, state_root

    root = state_root()
    place = Place(StateDir(root, fleet), None, None)
    reader = place.reader()
    recorded = reader.meta().get("config") if reader is not None else None
    if recorded is None:
        near = closest(fleet, _known_fleets(root)) or "; name its file with --config FILE"
        raise usage(f"{PROGRAM}: no fleet {fleet} was ever run here{near}")
    config = Path(recorded)
    moved: list[Problem] = []
    try:
        spec = load_fleet(config, moved=moved)
        if spec.fleet == fleet:
            return Place(place.state, config, spec, moved=tuple(moved))
        return Place(
            place.state, config, None, (f"{inert(config)}:1:1: is fleet {spec.fleet} now, not {fleet}",)
        )
    except ConfigError as error:
        return Place(place.state, config, None, tuple(inert(problem, 1000) for problem in error.problems))


def _known_fleets(root: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in root.iterdir() if _FLEET_NAME.fullmatch(entry.name))
    except OSError:
        return []


def need_agent(place: Place, name: str) -> AgentSpec | None:
    """What the file says of an agent; None for one that only the book knows. Raises Refusal (exit 2)."""
    if place.spec is not None and name in place.spec.agents:
        return place.spec.agents[name]
    reader = place.reader()
    recorded = list(reader.states()) if reader is not None else []
    if name in recorded:
        return None
    agents = list(place.spec.agents.values()) if place.spec else []
    members = [spec.id for spec in agents if spec.pool == name]
    if members:
        raise usage(f"{PROGRAM}: {name} is a pool; name one of it, {members[0]} to {members[-1]}")
    known = list(dict.fromkeys([*(spec.id for spec in agents), *recorded]))
    near = (
        closest(name, known) or f"; it has {', '.join(known[:NAMED])}{', ...' if len(known) > NAMED else ''}"
    )
    raise usage(f"{PROGRAM}: no agent {inert(name, 80)!r} in fleet {place.state.fleet}{near}")
