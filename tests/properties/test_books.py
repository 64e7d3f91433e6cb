"""Any legal history: the figures of `stats` and the tables are those of a plain recount of its events."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hhmrs.controller.ledger.writer import SqliteLedger
from hhmrs.controller.ports import Event, Row
from hhmrs.controller.reports.stats import stats_document, stats_text
from hhmrs.controller.timestamps import from_iso
from hhmrs.healing.agent import Happening

T0 = 1_795_255_200.0
AGENTS = ("a", "b", "c")
SEATS = (("claude", "sonnet"), ("claude", "opus"), ("codex", None))
TRIES = ("nudge", "resume", "restart", "reassign")
CAUSES = ("stalled", "looping", "crash", "unknown")


class Life:
    """One agent that has a legal, arbitrary history."""

    def __init__(self, agent: str, dice: Random) -> None:
        self.agent, self.dice = agent, dice
        self.now, self.incidents, self.tasks, self.n, self.seat = T0 + dice.random(), 0, 0, 0, 0
        self.incident: str | None = None
        self.task: str | None = None
        self.state = "well"
        self.log: list[Happening] = []

    def tell(self, type: str, **fields: Any) -> None:
        self.log.append(Happening(type, self.agent, self.now, self.incident, fields))

    def step(self) -> None:
        self.now += self.dice.choice((0.25, 1.0, 30.0, 400.0))
        getattr(self, f"when_{self.state}")()

    def start(self) -> None:
        profile, model = SEATS[self.seat]
        self.tell("agent_started", attempt=1, profile=profile, model=model)

    def when_well(self) -> None:
        what = self.dice.choice(("start", "task", "files", "done", "failed", "struck", "struck", "ordered"))
        if what == "start":
            self.start()
        elif what == "task" and self.task is None:
            self.tasks += 1
            self.task = f"{self.agent}-{self.tasks}"
            self.tell("task_opened", task=self.task, text="do it")
        elif what == "files" and self.task is not None:
            self.tell("checkpoint_stored", task=self.task, files=self.dice.randint(0, 8))
        elif what in ("done", "failed") and self.task is not None:
            self.tell(f"task_{what}", task=self.task, why="", seconds=1.0)
            self.task = None
        elif what in ("struck", "ordered"):
            self.struck(what)

    def struck(self, what: str) -> None:
        cause = self.dice.choice(CAUSES) if what == "struck" else "unknown"
        self.incidents, self.n = self.incidents + 1, 0
        self.incident = f"{self.agent}-i{self.incidents}"
        timed = cause in ("stalled", "looping")
        symptom = "ordered" if what == "ordered" else cause if timed else "exited"
        self.tell("agent_incident", symptom=symptom, cause=cause, detail="d")
        if timed:
            known = {"symptom": symptom, "cause": cause, "task": self.task}
            self.tell("hhmrs_timeout", reason="d", since=self.now - 60, **known)
        self.state = "observed" if what == "struck" and self.dice.random() < 0.3 else "sick"
        if self.state == "observed":
            ladder = [["nudge", 1, 0.0], ["resume", 1, 30.0], ["escalate", 3, 100.0]]
            self.tell("agent_observed", strategy="nudge", level=1, ladder=ladder[self.dice.randint(0, 2) :])

    def when_observed(self) -> None:
        self.close(self.dice.choice(("self", "self", "cleared")))

    def when_sick(self) -> None:
        what = self.dice.choice(("try", "try", "try", "failed", "proved", "spent", "self", "escalated"))
        if what == "try":
            self.attempt()
        elif what == "failed" and self.n:
            self.tell("agent_attempt_failed", n=self.n, strategy="resume", why="no progress")
        elif what == "proved" and self.n:
            self.tell("hhmrs_recovered", n=self.n, strategy="resume", proof="changed x")
            self.close("recovered")
        elif what == "spent":
            self.tell("hhmrs_failure", reason="spent", cause="crash")
            if self.task:
                self.tell("task_failed", task=self.task, why="spent")
            self.state = "lost"
        elif what == "self":
            self.close("self")
        elif what == "escalated":
            self.tell("hhmrs_escalation", level_from=1, level_to=2)

    def attempt(self) -> None:
        strategy = self.dice.choice(TRIES)
        self.n += 1
        fields: dict[str, Any] = {"n": self.n, "strategy": strategy, "cause": "crash", "task": self.task}
        if strategy == "reassign":
            old, self.seat = SEATS[self.seat], self.dice.randrange(len(SEATS))
            new = SEATS[self.seat]
            fields |= {"old_profile": old[0], "old_model": old[1], "new_profile": new[0], "new_model": new[1]}
        self.tell(f"hhmrs_{strategy}", **fields)
        if strategy == "reassign" and self.dice.random() < 0.5:
            self.tell("agent_timeouts_raised", n=self.n, old={"silence": 1}, new={"silence": 2})
        if strategy != "nudge":
            self.start()

    def when_lost(self) -> None:
        if self.dice.random() < 0.5:
            self.close("cleared")

    def close(self, outcome: str) -> None:
        self.tell("agent_incident_closed", outcome=outcome, cause="unknown")
        self.incident, self.state = None, "well"


class Recount:
    """The same figures, counted in the plainest way from the events alone."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.tries: list[dict[str, Any]] = []
        self.retries: list[dict[str, Any]] = []
        self.incidents: dict[str, dict[str, Any]] = {}
        self.tasks: dict[str, dict[str, Any]] = {}
        self.last = events[-1].at if events else ""
        for event in events:
            self.take(event)

    def take(self, e: Event) -> None:
        kind = e.type.removeprefix("hhmrs_")
        if e.type == "agent_incident":
            self.incidents[str(e.incident)] = {"agent": e.agent, "opened": e.at, "tries": 0, **e.data}
        elif e.type == "hhmrs_timeout":
            self.incidents[str(e.incident)]["unnoticed"] = e.data["detected_after_s"]
            self.retries.append({"agent": e.agent, "type": "child_timeout", "outcome": "pending"})
        elif e.type == "agent_observed":
            self.incidents[str(e.incident)]["observed"] = e
        elif kind in TRIES and e.type.startswith("hhmrs_"):
            self.settle(e, "failure")
            self.tries.append({"agent": e.agent, "strategy": kind, "at": e.at, "outcome": "pending"})
            self.incidents[str(e.incident)]["tries"] += 1
            self.incidents[str(e.incident)].setdefault("first", e.at)
            self.retries.append({"agent": e.agent, "type": self.retry_type(e, kind), "outcome": "pending"})
        elif e.type == "agent_timeouts_raised":
            self.retries.append({"agent": e.agent, "type": "timeout_increase", "outcome": "pending"})
        elif e.type == "agent_attempt_failed":
            self.settle(e, "failure")
        elif e.type in ("hhmrs_recovered", "hhmrs_failure"):
            won = kind == "recovered"
            self.settle(e, "success" if won else "failure", "success" if won else "failure")
            self.incidents[str(e.incident)]["recovered" if won else "escalated"] = e.at
        elif e.type == "agent_incident_closed":
            self.settle(e, "failure", "success" if e.data["outcome"] in ("recovered", "self") else "failure")
            self.incidents[str(e.incident)] |= {"closed": e.at, "outcome": e.data["outcome"]}
            for task in self.tasks.values():
                if task["state"] == "failed" and task["incident"] == e.incident:
                    task["state"] = "open"
        elif e.type.startswith("task_") or e.type == "checkpoint_stored":
            self.task(e)

    def task(self, e: Event) -> None:
        if e.type == "task_opened":
            self.tasks[e.data["task"]] = {"agent": e.agent, "opened": e.at, "state": "open", "files": None}
        elif e.type == "checkpoint_stored":
            self.tasks[e.data["task"]]["files"] = e.data["files"]
        else:
            state = e.type.removeprefix("task_")
            self.tasks[e.data["task"]] |= {"state": state, "closed": e.at, "incident": e.incident}

    @staticmethod
    def retry_type(e: Event, kind: str) -> str:
        if kind != "reassign":
            return f"child_{kind}"
        same = e.data["old_profile"] == e.data["new_profile"]
        return "llm_change" if same and e.data["old_model"] != e.data["new_model"] else "agent_change"

    def settle(self, e: Event, tries: str, timeout: str | None = None) -> None:
        for one in self.tries:
            if one["agent"] == e.agent and one["outcome"] == "pending":
                one["outcome"] = tries
        for one in self.retries:
            if one["agent"] == e.agent and one["outcome"] == "pending":
                if one["type"] != "child_timeout":
                    one["outcome"] = tries
                elif timeout is not None:
                    one["outcome"] = timeout

    # -- figures ------------------------------------------------------------------------------------

    def acted(self, agent: str | None = None) -> list[dict[str, Any]]:
        """Incidents that were no order and not only observed."""
        return [
            i for i in self.incidents.values()
            if i["symptom"] != "ordered" and not self.only_seen(i) and agent in (None, i["agent"])
        ]  # fmt: skip

    @staticmethod
    def only_seen(incident: dict[str, Any]) -> bool:
        return "observed" in incident and not incident["tries"]

    def figures(self, agent: str | None = None) -> dict[str, Any]:
        tries = [t["outcome"] for t in self.tries if agent in (None, t["agent"])]
        acted = self.acted(agent)
        won = [i for i in acted if i.get("outcome") == "recovered" and "escalated" not in i]
        lost = [i for i in acted if "escalated" in i]
        return {
            "sent": len(tries), "proved": tries.count("success"), "failed": tries.count("failure"),
            "incidents": len(acted), "recovered": len(won), "escalated": len(lost),
            "rate": round(100 * len(won) / (len(won) + len(lost)), 1) if won or lost else None,
            "mttd": mean([i["unnoticed"] for i in acted if "unnoticed" in i]),
            "mttr": mean([lasted(i) for i in acted if "recovered" in i]),
            "false_alarms": sum(i.get("outcome") == "self" and not i["tries"] for i in acted),
        }  # fmt: skip

    def first_try(self, *, small: bool) -> tuple[int, int]:
        """(done without trouble, ended) of the tasks whose files were counted."""
        clean = ended = 0
        for task in self.tasks.values():
            if task["state"] == "open" or task["files"] is None or (task["files"] < 5) is not small:
                continue
            trouble = [
                i for i in self.acted(task["agent"])
                if i["opened"] <= task["closed"] and i.get("closed", task["closed"]) >= task["opened"]
            ]  # fmt: skip
            ended += 1
            clean += task["state"] == "done" and not trouble
        return clean, ended

    def would_have(self) -> tuple[int, int, int]:
        """Actions that would have been taken, those of them for who came back alone, calls for a person."""
        actions = needless = calls = 0
        for incident in self.incidents.values():
            if self.only_seen(incident):
                seen = incident["observed"]
                lasted = from_iso(incident.get("closed", self.last)) - from_iso(seen.at)
                taken = [name for name, _, after in seen.data["ladder"] if after <= lasted]
                actions += sum(name != "escalate" for name in taken)
                needless += sum(name != "escalate" for name in taken if incident.get("outcome") == "self")
                calls += taken.count("escalate")
        return actions, needless, calls


def lasted(incident: dict[str, Any]) -> float:
    return from_iso(incident["recovered"]) - from_iso(incident["opened"])


def mean(values: list[float]) -> float | None:
    return round(sum(values) / len(values), 3) if values else None


@settings(max_examples=60, deadline=None)
@given(dice=st.randoms(use_true_random=False), steps=st.integers(0, 60))
def test_the_figures_are_those_of_a_plain_recount(dice: Random, steps: int) -> None:
    lives = [Life(agent, dice) for agent in AGENTS]
    for _ in range(steps):
        dice.choice(lives).step()
    happened = sorted((h for life in lives for h in life.log), key=lambda h: h.at)
    with tempfile.TemporaryDirectory() as folder:
        book = SqliteLedger(Path(folder) / "ledger.db")
        try:
            book.append([Row(h.agent, None, (h,)) for h in happened])
            book.refresh_metrics(T0 + 3600)
            check(book, Recount(list(book.history())))
        finally:
            book.close()


def check(book: SqliteLedger, recount: Recount) -> None:
    document = stats_document(book.reader)
    whole = recount.figures()
    assert document["recoveries_proved"] <= document["actions_sent"]
    assert (document["actions_sent"], document["recoveries_proved"]) == (whole["sent"], whole["proved"])
    assert (document["successful"], document["failed"]) == (whole["proved"], whole["failed"])
    assert document["pending"] == whole["sent"] - whole["proved"] - whole["failed"]
    assert document["recovery_success_rate"]["value"] == whole["rate"]
    assert (document["mttd_s"], document["mttr_s"]) == (whole["mttd"], whole["mttr"])
    assert document["false_alarms"] == whole["false_alarms"]
    assert sum(reason["count"] for reason in document["reasons"].values()) == whole["incidents"]
    for size in ("small", "large"):
        clean, ended = recount.first_try(small=size == "small")
        goal = document["first_try_success"][size]
        assert (goal["value"], goal["n"]) == (round(100 * clean / ended, 1) if ended else None, ended)
    check_apart(document, recount)
    retries = Counter((r["retry_type"], r["outcome"]) for r in book.reader.rows("retry_history"))
    assert retries == Counter((r["type"], r["outcome"]) for r in recount.retries)
    assert stats_text(document)


def check_apart(document: dict[str, Any], recount: Recount) -> None:
    """Each agent by itself, nothing lost between the parts, and what was only observed apart."""
    for agent, told in document["breakdown"]["agent"].items():
        own = recount.figures(agent)
        named = {"rate": "recovery_success_rate", "mttd": "mttd_s", "mttr": "mttr_s"}
        assert {name: told[named.get(name, name)] for name in own} == own
    for kind in ("agent", "profile", "model", "task"):
        parts = list(document["breakdown"][kind].values())
        assert all(part["proved"] <= part["sent"] for part in parts)
        assert sum(part["sent"] for part in parts) <= document["actions_sent"]
    assert sum(p["sent"] for p in document["breakdown"]["agent"].values()) == document["actions_sent"]
    would = document["would_have"]
    assert (would["actions"], would["needless"], would["escalations"]) == recount.would_have()
    assert would["incidents"] == sum(map(recount.only_seen, recount.incidents.values()))
