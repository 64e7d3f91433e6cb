"""The real fleet file behind the settings screen, and the daemon that is asked to go by it."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

from ...config.editing import CannotEdit, edit
from ...config.files import MAX_BYTES, FileChanged, as_bytes, as_text, read_bytes, replace_file
from ...config.fleet import FleetSpec
from ...config.loading import read_fleet
from ...config.nodes import Node
from ...config.paths import StateDir
from ...config.problems import ConfigError, Problem
from ...config.settings import settings
from ...controller.ledger.errors import LedgerError
from ...controller.ledger.lock import Holder, read_holder
from ...controller.ledger.writer import LedgerReader
from ...controller.letters.orders import OrderError, await_outcome, send_order
from ...controller.timestamps import from_iso, to_iso
from ..looks import clean
from ..settings import Applied, Change, Preview, Sheet, diff, own_values, problem_lines, read_sheet_text

ANSWER_WITHIN = 20.0
"""Seconds that a daemon may take to read its fleet file again."""


class FleetFile:
    """settings.Settings on a fleet file. Calls may come from any thread; one is made at a time."""

    def __init__(self, state_dir: StateDir, path: Path) -> None:
        self._dir = state_dir
        self._path = path
        self._lock = threading.Lock()
        self.done: list[Preview] = []
        self._last: Sheet | None = None
        self._read_at = 0.0
        """When the daemon is known to have read the file."""

    def read(self) -> Sheet:
        with self._lock:
            holder = read_holder(self._dir)
            try:
                raw = read_bytes(self._path)
                text = as_text(self._path, raw)
            except ConfigError as error:
                return Sheet(self._path, up=holder is not None, fault=clean(str(error), 300))
            last = self._last
            if last is None or last.raw != raw or last.problems:  # a file of thousands of agents is no trifle
                last = self._judge(raw, text)
            self._last = last
            return replace(
                last,
                up=holder is not None,
                stale=holder is not None and self._is_stale(holder),
                quick_look=holder.quick_look if holder is not None else None,
            )

    def _judge(self, raw: bytes, text: str) -> Sheet:
        spec, problems = self._judged(text)
        entries = {a.id: a.pool or a.id for a in spec.agents.values()} if spec else {}
        return Sheet(self._path, raw, text, read_sheet_text(text), problems, entries)

    def preview(self, sheet: Sheet, change: Change) -> Preview:
        problems: tuple[str, ...]
        try:
            text = self._changed(sheet, change)
        except CannotEdit as why:
            told = Problem(self._path, why.line, why.col, str(why))
            return Preview(change, sheet.raw, sheet.raw, problems=(str(told),))
        except ConfigError as error:
            return Preview(change, sheet.raw, sheet.raw, problems=problem_lines(error.problems))
        after = change.whole if change.whole is not None else as_bytes(text, sheet.raw)
        _, problems = self._judged(text)
        if len(after) > MAX_BYTES:
            problems = (*problems, f"{self._path} would be larger than {MAX_BYTES // 1024} KiB")
        keep = _keepers(sheet.root, change)
        return Preview(change, sheet.raw, after, diff(sheet.text, text), problems, keep)

    def _changed(self, sheet: Sheet, change: Change) -> str:
        if change.whole is not None:
            return as_text(self._path, change.whole)
        return edit(sheet.text, change.path, change.value)

    def apply(self, preview: Preview) -> Applied:
        if preview.problems:
            return Applied(False, None, "nothing was written: " + preview.problems[0])
        try:
            with self._lock:
                replace_file(self._path, preview.before, preview.after)
        except FileChanged as why:
            again = "nothing was written; look at it and change it again"
            return Applied(False, None, f"{clean(why, 300)}: {again}")
        except OSError as error:
            words = clean(error.strerror or error, 200)
            return Applied(False, None, f"{self._path} cannot be written ({words}); nothing was changed")
        if self.done and preview.change.whole == self.done[-1].before:
            _ = self.done.pop()
        else:
            self.done.append(preview)
        return self.reload(written=True)

    def reload(self, *, written: bool = False) -> Applied:
        holder = read_holder(self._dir)
        if holder is None:
            words = "no daemon runs: it is in force at its next start"
            return Applied(written, None, f"written; {words}" if written else words)
        if holder.is_stopped():
            words = f"the daemon is stopped and takes nothing; let it go on with `kill -CONT {holder.pid}`"
            return Applied(written, False, f"written, but {words}" if written else words)
        try:
            ok, answer = self._ask()
        except (OrderError, LedgerError, OSError) as error:
            ok, answer = False, f"the daemon could not be asked to read it: {error}"
        did = "written" if written else "read"
        said = clean(answer, 600)
        if ok:
            return Applied(written, True, f"{did}, and in force now")
        return Applied(written, False, f"{did}, but not in force: {said}" if written else said)

    def _ask(self) -> tuple[bool, str]:
        reader = LedgerReader(self._dir.ledger)
        try:
            since = reader.newest_seq()
            letter = send_order(self._dir, "reload", None)
            outcome = await_outcome(reader, letter, ANSWER_WITHIN, since=since)
        finally:
            reader.close()
        if outcome is None:
            return False, f"the daemon gave no answer within {ANSWER_WITHIN:.0f} s; see `hhmrs doctor`"
        return outcome.ok, outcome.message

    def _judged(self, text: str) -> tuple[FleetSpec | None, tuple[str, ...]]:
        try:
            return read_fleet(self._path, text), ()
        except ConfigError as error:
            return None, problem_lines(error.problems)

    def _is_stale(self, holder: Holder) -> bool:
        """Whether the file was written after the daemon had read it last."""
        try:
            changed = self._path.stat().st_mtime
            if changed <= max(holder.started_at, self._read_at) or changed > time.time():
                return False
            reader = LedgerReader(self._dir.ledger)
            try:
                read_at = [
                    from_iso(event.at)
                    for event in reader.period(to_iso(holder.started_at), "~", ["operator_reloaded"])
                ]
            finally:
                reader.close()
        except (OSError, LedgerError, ValueError):
            return False
        self._read_at = max([self._read_at, *read_at])
        return changed > self._read_at


def _keepers(root: Node | None, change: Change) -> tuple[str, ...]:
    """Who keeps a value of its own when the fleet's is changed."""
    if change.path[:1] != ("policy",):
        return ()
    setting = settings().get(".".join(change.path[1:]))
    return own_values(root, setting) if setting is not None else ()
