"""A real ledger file, its one writer and a reader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hhmrs.controller.ledger.writer import LedgerReader, SqliteLedger
from hhmrs.tests.contracts.rows import PARENTS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[SqliteLedger]:
    book = SqliteLedger(path, run_id="run-1", parents=PARENTS)
    yield book
    book.close()


@pytest.fixture
def reader(path: Path) -> Iterator[LedgerReader]:
    reading = LedgerReader(path)
    yield reading
    reading.close()
