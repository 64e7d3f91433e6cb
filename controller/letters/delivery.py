"""Letters become evidence here: what an agent wrote, checked at the door by the inbox, said in our words."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ...config.fleet import AgentSpec
from ...healing import evidence as e
from ...healing.masking import mask_secrets
from ..checkpoints.checkpoints import CheckpointStore, from_letter
from ..clock import local_now
from ..hooks.translating import evidence_of
from ..ports import Checkpoint, Clock, Letter
from .decisions import Ancestors, decision
from .inbox import Inbox
from .letterforms import Refused

MOST = 200
"""Letters of one look; then those who wait for the news get it."""
SAID_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Delivered:
    """`evidence` of one look into an inbox; `letters` are to be acknowledged once it is committed.

    `more`: others wait. `stuck`: why the next of them cannot be taken now (a full disk); it stays."""

    evidence: list[e.Evidence] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    more: bool = False
    stuck: str = ""


class Deliveries:
    """Reads agents' inboxes for the loop and for the performer; of one agent, one of them at a time."""

    def __init__(self, inbox: Inbox, store: CheckpointStore, clock: Clock) -> None:
        self.inbox = inbox
        self.acknowledged: Callable[[set[str]], None] = lambda _: None
        """Told, in the thread that removed them, whose letters were removed."""
        self.ancestors: Ancestors = lambda _: ()
        """Whose children are whose, as the fleet file says now."""
        self.cli_of: Callable[[str], str] = lambda _: ""
        """agent -> the kind of hooks of what it runs on now (Profile.hooks); empty: any may speak for it."""
        self._store = store
        self._clock = clock
        self._readers: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._said: dict[str, tuple[str | None, dict[str, None]]] = {}

    def collect(
        self, spec: AgentSpec, attempt: Callable[[], int], task: str | None, *, most: int | None = MOST
    ) -> Delivered:
        """What waits in the agent's inbox for its attempt. Checkpoints are on disk afterwards.

        `most`: stop after about so many, for an agent may write quicker than we read; None: read all that is
        there by now. Whose process tree is seen dead has written it, and who writes on is somebody else: that
        must not keep us from going on. The attempt's number is asked for when the
        inbox is opened, not when somebody thought of opening it: it may have risen meanwhile, and the
        letters of the new attempt are not to be refused."""
        found = Delivered()
        with self._readers[spec.id]:
            unseen = self.inbox.lying(spec.id) if most is None else 0
            while (letters := self.inbox.drain(spec.id, attempt())) or self.inbox.more(spec.id):
                stuck = self._take(letters, task, found)
                if stuck:
                    return replace(found, stuck=stuck)
                if most is not None and (len(found.letters) >= most or not letters):
                    return replace(found, more=True)
                unseen -= self.inbox.looked(spec.id)
                if most is None and unseen <= 0:
                    break
        return found

    def orders(self) -> list[Letter]:
        return self.inbox.orders()

    def acknowledge(self, letters: list[Letter]) -> None:
        """They are in the ledger: take them out of their inboxes."""
        self.inbox.ack_all(letters)
        self.acknowledged({letter.agent for letter in letters})

    def _take(self, letters: list[Letter], task: str | None, found: Delivered) -> str:
        """Add to `found` what the letters say; why the rest of them was put back, if it was."""
        stored, problem = self._store_all([x for x in letters if x.kind == "checkpoint"], task)
        for at, letter in enumerate(letters):
            if letter.kind == "checkpoint" and letter.id not in stored:
                self.inbox.put_back(letters[at:])
                return f"cannot store its checkpoint: {problem}"
            now = self._clock.now()
            if letter.kind == "checkpoint":
                found.evidence.append(self._checkpoint(letter.agent, stored[letter.id], task, now))
            elif letter.kind == "decide":
                try:
                    found.evidence.append(decision(letter, self.ancestors, now))
                except Refused as why:
                    self.inbox.refuse(letter, str(why))
                    continue
            elif letter.kind == "hook":
                found.evidence.extend(self._told(letter, now))
            elif rule := _PLAIN.get(letter.kind):
                found.evidence.append(rule(letter.agent, now, letter.fields))
            found.letters.append(letter)
        return ""

    def _told(self, letter: Letter, now: float) -> list[e.Evidence]:
        """What a hook says. Another CLI that the agent runs as a tool has the same inbox, and is not it."""
        cli, own = letter.fields["cli"], self.cli_of(letter.agent)
        if own and cli != own:
            return []
        event, said = letter.fields["event"], letter.fields["payload"]
        return evidence_of(letter.agent, cli, event, said, now, local_now())

    def _store_all(
        self, letters: list[Letter], task: str | None
    ) -> tuple[Mapping[str, Checkpoint], OSError | None]:
        """Letter id -> what was stored for it; and why not all of them were."""
        if not letters:
            return {}, None
        agent = letters[0].agent
        self._known(agent, task)  # what was said before these
        makes = [partial(_from_letter, letter, task) for letter in letters]
        stored, problem = self._store.add_all(agent, task, makes)
        return {letter.id: one for letter, one in zip(letters, stored, strict=False)}, problem

    def _checkpoint(self, agent: str, after: Checkpoint, task: str | None, at: float) -> e.Evidence:
        known = self._known(agent, task)
        said = _said(after)
        new = said not in known
        known[said] = None
        if len(known) > SAID_KEPT:
            del known[next(iter(known))]
        anything = after.completed or after.files or after.next or after.data
        return e.CheckpointReceived(
            agent, at, after.seq, new and bool(anything), len(after.completed), len(after.files)
        )

    def _known(self, agent: str, task: str | None) -> dict[str, None]:
        """What the agent's checkpoints of this task have said so far, oldest first: saying it again, even in
        turns, is nothing new."""
        known = self._said.get(agent)
        if known is None or known[0] != task:
            kept = reversed(self._store.kept(agent, task))
            known = self._said[agent] = (task, dict.fromkeys(_said(checkpoint) for checkpoint in kept))
        return known[1]


def _from_letter(letter: Letter, task: str | None, before: Checkpoint | None, seq: int) -> Checkpoint:
    return from_letter(letter, before, task=task, seq=seq)


def _said(checkpoint: Checkpoint) -> str:
    said = (checkpoint.completed, checkpoint.files, checkpoint.next, checkpoint.data)
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _beat(agent: str, at: float, f: dict[str, Any]) -> e.Evidence:
    return e.BeatReceived(agent, at, f["state"], f.get("progress"), _told(f.get("message")))


def _ask(agent: str, at: float, f: dict[str, Any]) -> e.Evidence:
    return e.AskReceived(agent, at, _told(f["question"]), tuple(map(_told, f.get("options") or ())))


def _told(text: str | None) -> str:
    """What it says for others to read, in the book and on the screen; it does not know who they are."""
    return mask_secrets(text) if text else ""


_PLAIN: dict[str, Callable[[str, float, dict[str, Any]], e.Evidence]] = {
    "beat": _beat,
    "done": lambda a, at, f: e.DoneReceived(a, at, _told(f.get("summary"))),
    # Its cause is looked for in these words first.
    "fail": lambda a, at, f: e.FailReceived(a, at, f.get("summary") or "", f.get("exit_code")),
    "ask": _ask,
}
