"""The processes of a simulated fleet: what each of them does, and what of it can be seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from ...config.fleet import FleetSpec
from .. import evidence as e
from ..providers import provider_of
from .bodies import Body, Letter, Life, body_of, words
from .chance import Agenda, Dice, Table
from .faults import AT_ONCE, SOUND, STATUSES, Faults

PAUSE, TAIL, LONGEST = 45.0, 1.15, 1100.0
"""The pauses of a slow one: the least (s), the exponent of their Pareto tail, the most (s)."""
FLIPS = 40


class Eyes(Protocol):
    """Who looks on: what is seen while nobody is there is lost, a letter waits."""

    def time(self) -> float:
        """The clock of the supervisor, s."""
        ...

    def tell(self, *evidence: e.Evidence) -> None: ...

    def post(self, letter: Letter) -> None: ...


class World:
    """`forced`: the one behaviour of every attempt. `eyes` must be set before anything begins."""

    eyes: Eyes

    def __init__(
        self, fleet: FleetSpec, agenda: Agenda, dice: Dice, faults: Faults, forced: str | None
    ) -> None:
        self.bodies: dict[str, Body] = {name: body_of(spec) for name, spec in fleet.agents.items()}
        self.outages: set[str] = set()
        """Providers that are down."""
        self.struck: Counter[str] = Counter()
        """How often what went wrong: attempts by behaviour, storms, deaths of the daemon."""
        self._agenda = agenda
        self._dice = dice
        self._faults = faults
        self._forced = forced
        self._table = Table(faults.behaviours)
        self._pids = 100
        self._acts: dict[str, Callable[[Life], float]] = {
            "work": self._work,
            "slow start": self._work,
            "slow": self._slow,
            "hang": self._silent,
            "deaf": self._silent,
            "undead": self._silent,
            "frozen": self._frozen,
            "loop": self._loop,
            "prose": self._prose,
            "flap": self._flap,
            "ask": self._ask,
            "limited": self._limited,
            "fail": self._fail,
            "stuck": self._stuck,
            "finish": self._finish,
        }

    # -- processes begin and end ------------------------------------------------------------------

    def begin(self, body: Body, attempt: int, seat: int) -> Life:
        """A process for that attempt; there is none yet."""
        self._pids += 1
        kind = self._forced or body.curse or self._table.draw(self._dice)
        self.struck[kind] += 1
        at_once = kind in AT_ONCE or body.curse or self._forced is not None
        delay = 0.0 if at_once else self._dice.between(5, 1800)
        life = Life(body, attempt, seat, kind, self._agenda.now + delay, self._pids)
        body.lives.append(life)
        first = 0.5
        if kind == "slow start":
            first = self._dice.between(0.3, 1.0) * body.spec.policy.verify_within
        self._agenda.after(first, self._tick, life)
        return life

    def end(self, life: Life, status: int | None, signal: int | None, *, lost: bool = False) -> None:
        """The process is gone, and whoever looks sees it."""
        if self.gone(life):
            body = life.body
            body.fallen = (life.attempt, status, signal)
            told = e.ProcessExited(body.spec.id, self.eyes.time(), life.attempt, status, signal, (), lost)
            self.eyes.tell(told)

    def gone(self, life: Life) -> bool:
        """Take the process out of the world; False when it was over already."""
        if life.over:
            return False
        life.over = True
        life.body.lives.remove(life)
        return True

    def afflict(self, life: Life, kind: str) -> None:
        """From now on it behaves so; what ends a process ends it now."""
        self.struck[kind] += 1
        life.kind, life.turns_at, life.until = kind, self._agenda.now, 0.0
        if kind in STATUSES:
            self._turned(life, kind)
            self.end(life, *STATUSES[kind])

    def nudged(self, body: Body) -> None:
        """Somebody typed into its pane: one that only hangs wakes up, and the terminal echoes."""
        for life in body.lives:
            if life.kind == "hang":
                life.kind, life.steps = "work", 0

    # -- a moment in the life of a process --------------------------------------------------------

    def doing(self, life: Life) -> str:
        return life.kind if self._agenda.now >= life.turns_at else "work"

    def _tick(self, life: Life) -> None:
        if life.over:
            return
        kind = self.doing(life)
        if self.outages and kind in SOUND and provider_of(life.body.spec.seats[life.seat]) in self.outages:
            kind = "api_error"
        ends = STATUSES.get(kind)
        if ends is not None:
            self._turned(life, kind)
            self.end(life, *ends)
            return
        delay = self._acts[kind](life)
        if not life.over:
            self._agenda.after(delay, self._tick, life)

    def _turned(self, life: Life, kind: str) -> None:
        """It goes wrong now; perhaps whatever comes after it will too."""
        body = life.body
        if not body.curse and kind not in SOUND and self._dice.unit() < self._faults.cursed:
            body.curse = kind

    def _pace(self, life: Life) -> float:
        return self._dice.between(life.body.least, life.body.most)

    def _work(self, life: Life) -> float:
        body, now = life.body, self.eyes.time()
        body.life_at = body.progress_at = self._agenda.now
        life.steps += 1
        agent = body.spec.id
        point = self._dice.unit()
        if self._agenda.now >= life.until and 0.80 <= point < 0.82:
            # A compiler: silent work of a child for a long while.
            life.until = self._agenda.now + self._dice.between(60, 0.9 * body.spec.policy.tool_timeout)
        if self._agenda.now < life.until:
            self.eyes.tell(e.ProcessMeasured(agent, now, True, (9.0,), False, 90.0, 80.0, 2, now - 2.0))
        elif point < 0.55:
            self.eyes.tell(e.FileChanged(agent, now, "work.py"))
        elif point < 0.70:
            self.eyes.tell(e.OutputSeen(agent, now, (f"made {words(life.pid * 10_000 + life.steps)}",)))
        elif point < 0.80:
            self.eyes.tell(e.TranscriptGrew(agent, now))
        elif point < 0.90:
            self.send(life, "beat")
        else:
            body.done += 1
            self.send(life, "checkpoint", body.done)
        return self._pace(life)

    def _slow(self, life: Life) -> float:
        if self._agenda.now < life.until:
            self._alive(life)
            return min(self._pace(life), life.until - self._agenda.now)
        pause: float = PAUSE * (1.0 - self._dice.unit()) ** (-1 / TAIL)
        self._work(life)
        life.until = self._agenda.now + min(LONGEST, pause)
        return min(self._pace(life), pause)

    def _alive(self, life: Life) -> None:
        life.body.life_at = self._agenda.now
        self.send(life, "beat")

    def _silent(self, life: Life) -> float:
        if life.steps >= 0:
            life.steps = -1
            self._turned(life, life.kind)
        return self._pace(life)

    def _frozen(self, life: Life) -> float:
        agent, now = life.body.spec.id, self.eyes.time()
        self.eyes.tell(e.ProcessMeasured(agent, now, False, (), True, 0.0, 80.0, 1, now - 2.0))
        return self._silent(life)

    def _loop(self, life: Life) -> float:
        self._alive(life)
        life.steps += 1
        agent, now = life.body.spec.id, self.eyes.time()
        if not life.loops:
            life.loops, life.body.news_at = True, self._agenda.now  # said for the first time it is news
        self.eyes.tell(e.OutputSeen(agent, now, (f"working {life.steps} of {life.pid}",)))
        return self._pace(life)

    def _prose(self, life: Life) -> float:
        life.steps += 1
        life.body.life_at = life.body.news_at = self._agenda.now
        line = f"pondering {words(life.pid * 100_000 + life.steps)}"
        self.eyes.tell(e.OutputSeen(life.body.spec.id, self.eyes.time(), (line,)))
        return self._pace(life)

    def _flap(self, life: Life) -> float:
        """A dialog that is drawn and hidden again; in the end it hangs, or works on."""
        agent, now = life.body.spec.id, self.eyes.time()
        life.steps += 1
        life.body.life_at = self._agenda.now
        if life.steps > FLIPS:
            life.kind = self._dice.one(("hang", "work", "work"))
            life.shows = ""
            self.eyes.tell(e.ScreenCleared(agent, now))
            return self._pace(life)
        life.shows = self._dice.one(("waiting", "busy", "idle", "limited", ""))
        if life.shows:
            until = now + 30.0 if life.shows == "limited" else None
            self.eyes.tell(e.ScreenMatched(agent, now, life.shows, "a rule", until))
        else:
            self.eyes.tell(e.ScreenCleared(agent, now))
        return self._dice.between(0.5, 12.0)

    def _ask(self, life: Life) -> float:
        if not life.until:
            life.until = self._agenda.now + self._dice.between(30, 1800)
            life.body.progress_at = life.body.life_at = self._agenda.now
            self.send(life, "ask")
        elif self._agenda.now >= life.until:
            # A person answers.
            life.kind, life.until = "work", 0.0
            self.eyes.tell(e.Typed(life.body.spec.id, self.eyes.time(), "yes, do"))
        return 10.0 + max(0.0, life.until - self._agenda.now)

    def _limited(self, life: Life) -> float:
        agent, now = life.body.spec.id, self.eyes.time()
        if not life.until:
            life.until = self._agenda.now + self._dice.between(60, 3600)
            life.shows = "limited"
            ends = now + life.until - self._agenda.now
            self.eyes.tell(e.ScreenMatched(agent, now, "limited", "usage limit", ends))
        elif self._agenda.now >= life.until:
            life.kind, life.until, life.shows = self._dice.one(("work", "work", "hang")), 0.0, ""
            self.eyes.tell(e.ScreenCleared(agent, now))
        return 5.0 + max(0.0, life.until - self._agenda.now)

    def _stuck(self, life: Life) -> float:
        """It lives, and says that its provider does not answer."""
        if life.shows != "error":
            life.shows = "error"
            self._turned(life, "stuck")
            agent, now = life.body.spec.id, self.eyes.time()
            self.eyes.tell(e.ErrorShown(agent, now, "api_error", "API Error: 500"))
        return self._pace(life)

    def _fail(self, life: Life) -> float:
        life.kind = "deaf"
        self._turned(life, "fail")
        self.send(life, "fail")
        return self._pace(life)

    def _finish(self, life: Life) -> float:
        life.body.progress_at = life.body.life_at = self._agenda.now
        if life.steps >= 0 and self._dice.unit() < 0.5:
            life.steps = -1
            self.send(life, "done")
            return self._dice.between(0.1, 3.0)
        self.end(life, 0, None)
        return 0.0

    # -- letters --------------------------------------------------------------------------------

    def send(self, life: Life, kind: str, said: int = 0) -> None:
        """A letter of this process: perhaps it is lost, late, or sent twice."""
        letter = Letter(life.body.spec.id, life.attempt, kind, said)
        fate, share = self._dice.unit(), self._faults.letters
        if fate < share:
            return
        if fate < 2 * share:
            self._agenda.after(self._dice.wait(60.0), self._late, (life, letter))
            return
        self.eyes.post(letter)
        if fate < 3 * share:
            self._agenda.after(self._dice.wait(20.0), self._late, (life, letter))

    def _late(self, sent: tuple[Life, Letter]) -> None:
        life, letter = sent
        if not life.over:
            # It is its own doing that it comes now.
            life.body.life_at = self._agenda.now
            if letter.kind != "beat":
                life.body.progress_at = self._agenda.now
        self.eyes.post(letter)
