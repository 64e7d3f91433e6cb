"""Whether all that the agents work on is in their snapshots, for `doctor`."""

from __future__ import annotations

from collections.abc import Iterable

from ...config.paths import StateDir
from ..ledger.errors import LedgerError
from ..ledger.writer import LedgerReader
from .findings import Finding, Machine

TOPIC = "snapshots"
MEND = (
    "raise `keep.file_size` or `keep.total_size` in the policy, have git ignore what need not be saved, or "
    "make it readable"
)


def savings(machine: Machine) -> Iterable[Finding]:
    """What the newest checkpoint of each agent left out, as the ledger knows it. Reads only."""
    if machine.fleet is None:
        return
    ledger = StateDir(machine.state_root, machine.fleet.fleet).ledger
    if not ledger.exists():
        return
    try:
        states = LedgerReader(ledger).states()
    except LedgerError as error:
        yield Finding("warn", TOPIC, f"what they hold cannot be told: {error}")
        return
    whole = 0
    for agent, state in states.items():
        if agent not in machine.fleet.agents or not state.get("checkpoint"):
            continue
        if unsaved := str(state.get("unsaved") or ""):
            yield Finding("warn", TOPIC, f"{agent}: {unsaved}", MEND)
        else:
            whole += 1
    if whole:
        yield Finding("ok", TOPIC, f"the newest checkpoints of {whole} agents hold all of their work")
