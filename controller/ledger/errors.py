"""What can go wrong with the book. Every message says where, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


class LedgerError(Exception):
    """Of all of these; nothing that was refused with one was stored."""


class LedgerFull(LedgerError):
    """No room on the disk, or the size cap is reached. What was acknowledged before is safe; repeat the call
    when there is room."""


class LedgerUnavailable(LedgerError):
    """The file cannot be opened, read or written now, or the ledger is closed. Safe to repeat."""


class LedgerCorrupt(LedgerError):
    """The file is damaged. A new daemon sets it aside and begins a new one."""


class LedgerTooNew(LedgerError):
    """A newer hhmrs wrote this file."""


class LedgerOwned(LedgerError):
    """Another fleet file has the same fleet name. `owner` and `claimant` are the two paths."""

    def __init__(self, fleet: str, owner: str, claimant: str) -> None:
        super().__init__(
            f"two fleet files are named {fleet!r}: {owner} (which owns the state) and {claimant}; "
            f"change `fleet:` in one of them, or move the first away if it is no longer wanted"
        )
        self.fleet, self.owner, self.claimant = fleet, owner, claimant


def check_owner(meta: Mapping[str, str], fleet: str, config_path: Path) -> None:
    """Raise LedgerOwned when the ledger with this meta belongs to another fleet file that still exists.

    A file that was moved takes its state along: where the old path is empty, nobody else can claim it."""
    owner = meta.get("config")
    claimant = str(config_path.resolve())
    if meta.get("fleet", fleet) != fleet:
        raise LedgerOwned(meta["fleet"], owner or "an unknown file", claimant)
    if owner and owner != claimant and _exists(Path(owner)):
        raise LedgerOwned(fleet, owner, claimant)


def _exists(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True
