"""Letters become evidence here: what an agent wrote, checked at the door by the inbox, said in our words."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..config.fleet import AgentSpec
from ..healing import evidence as e
from .checkpoints import CheckpointStore, from_letter
from .inbox import Inbox
from .ports import Clock, Letter


@dataclass(frozen=True, slots=True)
class Delivered:
    """`evidence` of one look into an inbox; `letters` are to be acknowledged once it is committed."""

    evidence: list[e.Evidence] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)


class Deliveries:
    """Reads agents' inboxes for the loop and for the performer, one of them at a time."""

    def __init__(self, inbox: Inbox, store: CheckpointStore, clock: Clock) -> None:
        self._inbox = inbox
        self._store = store
        self._clock = clock
        self._one_reader = threading.Lock()

    def collect(self, spec: AgentSpec, attempt: Callable[[], int], task: str | None) -> Delivered:
        """Everything in the agent's inbox that belongs to its attempt. Checkpoints are on disk afterwards.

        The attempt's number is asked for when the inbox is opened, not when somebody thought of opening it:
        it may have risen meanwhile, and the letters of the new attempt are not to be refused."""
        delivered = Delivered()
        with self._one_reader:
            while letters := self._inbox.drain(spec.id, attempt()):
                for letter in letters:
                    delivered.letters.append(letter)
                    delivered.evidence.extend(self._evidence(letter, task))
        return delivered

    def orders(self) -> list[Letter]:
        with self._one_reader:
            return self._inbox.orders()

    def acknowledge(self, letters: list[Letter]) -> None:
        with self._one_reader:
            for letter in letters:
                self._inbox.ack(letter)

    def _evidence(self, letter: Letter, task: str | None) -> list[e.Evidence]:
        at = self._clock.now()
        if letter.kind == "checkpoint":
            return [self._checkpoint(letter, task, at)]
        rule = _PLAIN.get(letter.kind)
        return [rule(letter.agent, at, letter.fields)] if rule else []

    def _checkpoint(self, letter: Letter, task: str | None, at: float) -> e.Evidence:
        before = self._store.last_good(letter.agent, task)
        after = from_letter(letter, before, task=task, seq=self._store.next_seq(letter.agent))
        self._store.store(after)
        said = (after.completed, after.files, after.next, after.data)
        new = before is None or said != (before.completed, before.files, before.next, before.data)
        return e.CheckpointReceived(
            letter.agent, at, after.seq, new and any(said), len(after.completed), len(after.files)
        )


_PLAIN: dict[str, Callable[[str, float, dict[str, Any]], e.Evidence]] = {
    "beat": lambda a, at, f: e.BeatReceived(a, at, f["state"], f.get("progress"), f.get("message") or ""),
    "done": lambda a, at, f: e.DoneReceived(a, at, f.get("summary") or ""),
    "fail": lambda a, at, f: e.FailReceived(a, at, f.get("summary") or "", f.get("exit_code")),
    "ask": lambda a, at, f: e.AskReceived(a, at, f["question"], tuple(f.get("options") or ())),
}
