"""What the simulated world knows of one agent, beside what the supervisor believes of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...config.fleet import AgentSpec

NEVER = float("-inf")


@dataclass(slots=True, eq=False)
class Life:
    """One process of an agent. `kind`: what it does from `turns_at` on; until then it works."""

    body: Body
    attempt: int
    seat: int
    kind: str
    turns_at: float
    pid: int
    over: bool = False
    steps: int = 0
    until: float = 0.0
    """The end of a pause, a limit, a silent piece of work; 0: none."""
    shows: str = ""
    """What its screen shows."""
    loops: bool = False
    """It has said what it says again and again."""

    @property
    def undead(self) -> bool:
        return self.kind == "undead"


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter in an inbox. `said`: how much of the work it tells of, for a checkpoint."""

    agent: str
    attempt: int
    kind: str
    said: int = 0


@dataclass(slots=True, eq=False)
class Body:
    """Times are of the world. `done`: how much work is done; `stored`: the newest checkpoint on disk, and
    `told` how much work it tells of; `acknowledged`: the newest one whose letter was taken out of the
    inbox."""

    spec: AgentSpec
    least: float
    most: float
    """Seconds between two signs of one at work."""
    lives: list[Life] = field(default_factory=list)
    inbox: list[Letter] = field(default_factory=list)
    opened: list[Letter] = field(default_factory=list)
    """Read, and not yet in the book: they are still there for the next daemon."""
    fallen: tuple[int, int | None, int | None] | None = None
    """The attempt, exit status and signal of the process that ended last; its launcher wrote it down."""
    done: int = 0
    stored: int = 0
    told: int = 0
    acknowledged: int = 0
    progress_at: float = NEVER
    """When the agent itself last got somewhere."""
    news_at: float = NEVER
    """When it last printed something new; progress as well, for a while."""
    life_at: float = NEVER
    curse: str = ""
    """Whatever is started in its place goes this way too, until a person comes."""
    attached: bool = False
    blind: bool = False
    ground: int = 0
    """The attempt after which the ground was last cleared."""
    busy_until: float = 0.0
    """One action at a time."""

    @property
    def newest(self) -> Life | None:
        return self.lives[-1] if self.lives else None


def body_of(spec: AgentSpec) -> Body:
    """A sound agent shows itself several times within what would be called silence."""
    patience = min(spec.policy.silence, spec.policy.progress_timeout, 120.0)
    return Body(spec, 0.15 * patience, 0.75 * patience)


def words(number: int) -> str:
    """A number in letters: digits are masked, and would make two lines equal."""
    text = ""
    while number or not text:
        number, rest = divmod(number, 26)
        text = chr(97 + rest) + text
    return text
