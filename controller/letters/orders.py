"""How a person's command reaches the daemon: a letter to the operator inbox; its outcome is an event."""

from __future__ import annotations

import getpass
import json
import os
import socket
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ...config.paths import StateDir
from ..ports import Event
from ..timestamps import to_iso
from .letterforms import AGENT_NAME, MAX_LETTER, ORDERS, WHOLE_FLEET, unfit

EXPIRES_AFTER = 120.0
LOOK_EVERY = 0.05


class OrderError(Exception):
    """The order could not be given; the message says what to do next."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an order."""

    ok: bool
    message: str


class Feed(Protocol):
    """What waiting needs of a ledger reader."""

    def version(self) -> int: ...
    def events(
        self, since: int = 0, limit: int | None = None, agent: str | None = None, incident: str | None = None
    ) -> Sequence[Event]: ...


def send_order(
    state_dir: StateDir,
    order: str,
    agent: str | None,
    args: Mapping[str, str] | None = None,
    *,
    by: str | None = None,
    expires_after: float = EXPIRES_AFTER,
) -> str:
    """Write one order and return its id; unread for `expires_after` seconds, it lapses. Raises OrderError."""
    if order not in ORDERS:
        raise OrderError(f"unknown order {order!r}; there are {' '.join(sorted(ORDERS))}")
    if not (AGENT_NAME.fullmatch(agent) if agent else order in WHOLE_FLEET):
        raise OrderError(f"{order} needs the name of an agent, not {agent!r}")
    if unfitting := unfit(order, args or {}):
        raise OrderError(unfitting)
    name = uuid.uuid4().hex
    now = time.time()
    letter = {
        "kind": "order",
        "id": name,
        "order": order,
        "agent": agent or None,
        "by": by or whoami(),
        "at": to_iso(now),
        "expires": to_iso(now + expires_after),
        "args": {str(key): str(value) for key, value in (args or {}).items()},
    }
    text = json.dumps(letter).encode("ascii")
    if len(text) > MAX_LETTER:
        raise OrderError(
            f"the order has {len(text)} bytes; at most {MAX_LETTER} are taken: give a file's name instead"
        )
    try:
        _deliver(state_dir.operator_inbox, f"{time.time_ns():020d}-{name}.json", text)
    except FileNotFoundError:
        raise OrderError(
            f"{state_dir.operator_inbox} is not there: no daemon has run for this fleet; "
            "start one with `hhmrs up`"
        ) from None
    except OSError as why:
        raise OrderError(
            f"cannot write to {state_dir.operator_inbox}: {why.strerror}; try `hhmrs doctor`"
        ) from None
    return name


def await_outcome(
    reader: Feed,
    order_id: str,
    timeout: float,
    *,
    since: int = 0,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome | None:
    """The outcome of an order, or None after `timeout` seconds. `since`: the last event before it was sent.

    Looks at the events only when the ledger's version moved."""
    over = clock() + timeout
    seen: int | None = None
    while True:
        version = reader.version()
        if version != seen:
            seen = version
            for event in reader.events(since=since):
                since = max(since, event.seq)
                if event.type == "operator_outcome" and event.data.get("letter") == order_id:
                    return Outcome(bool(event.data.get("ok")), str(event.data.get("message", "")))
        left = over - clock()
        if left <= 0:
            return None
        time.sleep(min(LOOK_EVERY, left))


def whoami() -> str:
    """`user@host` of the person at the keyboard."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _deliver(inbox: Path, name: str, text: bytes) -> None:
    draft, final = inbox / "tmp" / name, inbox / "new" / name
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(fd)
        os.rename(draft, final)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
