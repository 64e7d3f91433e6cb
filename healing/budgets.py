"""Limits of what agents, and all of them together, may spend: a warning in time, then a hold; no end.

The guard adds up what is told of each agent. At a share of a limit a person is told once; at the limit the
agent is given nothing more to do (evolve_usage.py), and of the fleet's limits every agent. What was said
stands in the agents' own states, so that the next daemon says it no second time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..config.fleet import AgentSpec, Policy
from .agent import AgentState, Happening
from .evidence import BudgetJudged
from .guards import NOTHING, Told
from .usage import Spending, Tokens

WARNED = "agent_budget_warned"
SPENT = "agent_budget_spent"
MICRO = 1_000_000
"""Money is added up in millionths of a dollar, so that sums that come and go leave nothing behind."""


class Limit(NamedTuple):
    """One limit. `key`: of the policy, below `spending`; `most` and `used` in tokens, or millionths of $."""

    key: str
    most: int
    used: int

    @property
    def mark(self) -> str:
        return f"{self.key} {self.most}"

    def words(self, whose: str) -> str:
        if self.key.endswith("cost"):
            return f"{whose} budget of ${self.most / MICRO:,.2f} is spent"
        return f"{whose} budget of {self.most:,} tokens is spent"

    def warning(self, whose: str) -> str:
        part = f"{100 * self.used // self.most} % of {whose} budget of"
        if self.key.endswith("cost"):
            return f"{part} ${self.most / MICRO:,.2f} is spent"
        return f"{part} {self.most:,} tokens is spent"


_UNTOLD = Spending()


class Sum(NamedTuple):
    tokens: int = 0
    micros: int = 0


def limits_of(policy: Policy, used: Sum) -> tuple[Limit, ...]:
    """The limits of one agent that are set."""
    tokens = Limit("tokens", policy.spending.tokens, used.tokens)
    cost = Limit("cost", round(policy.spending.cost * MICRO), used.micros)
    return tuple(limit for limit in (tokens, cost) if limit.most > 0)


def limits_of_fleet(policy: Policy, used: Sum) -> tuple[Limit, ...]:
    tokens = Limit("fleet_tokens", policy.spending.fleet_tokens, used.tokens)
    cost = Limit("fleet_cost", round(policy.spending.fleet_cost * MICRO), used.micros)
    return tuple(limit for limit in (tokens, cost) if limit.most > 0)


def used_of(tokens: Tokens) -> Sum:
    return Sum(tokens.counted, round((tokens.cost or 0.0) * MICRO))


class Budgets:
    """The guard. A look at an agent that spent nothing costs one comparison."""

    def __init__(self) -> None:
        self._agents: Mapping[str, AgentSpec] = {}
        self._policy = Policy()
        self._known: dict[str, Spending] = {}
        self._used: dict[str, Sum] = {}
        self._fleet = Sum()
        self._over = ""
        """Why nobody is given anything more to do; "" as long as the fleet may spend."""
        self._again = False
        self._told: set[str] = set()
        """The fleet's limits of which some agent's state says that a person was told."""

    def fit(self, agents: Mapping[str, AgentSpec], policy: Policy) -> None:
        self._agents, self._policy = agents, policy
        for agent in [name for name in self._known if name not in agents]:
            self._count(agent, Sum())
            del self._known[agent], self._used[agent]
        self._again = bool(self._known)

    def changed(
        self,
        before: AgentState | None,
        after: AgentState,
        happened: Sequence[Happening],  # noqa: ARG002 - the state says it all
        now: float,
    ) -> Told:
        if before is not None and before.spending is after.spending:
            return NOTHING
        agent, spending = after.id, after.spending
        if agent not in self._agents:
            return NOTHING
        known = self._known.get(agent)
        self._known[agent] = spending
        if known is None or known.warned != spending.warned:
            self._told.update(mark for mark in spending.warned if " fleet_" in f" {mark}")
        if known is None or (known.known, known.cleared) != (spending.known, spending.cleared):
            self._count(agent, used_of(spending.counting))
        if before is None:
            # When all of them are known.
            self._again = self._again or bool(self._over) or spending != _UNTOLD
            return NOTHING
        told = Told()
        if self._judge_fleet():
            self._judge_all(now, agent, told)
        else:
            self._judge(agent, now, told, tips=True)
        return told if told.evidence else NOTHING

    def due(self) -> float | None:
        return 0.0 if self._again else None

    def tick(self, now: float) -> Told:
        """After a change of the fleet file, or when a daemon has begun."""
        self._again = False
        self._judge_fleet()
        told = Told()
        self._judge_all(now, next(iter(self._known), ""), told)
        return told

    # -- sums -------------------------------------------------------------------------------------

    def _count(self, agent: str, used: Sum) -> None:
        old = self._used.get(agent, Sum())
        self._used[agent] = used
        tokens, micros = self._fleet.tokens - old.tokens, self._fleet.micros - old.micros
        self._fleet = Sum(tokens + used.tokens, micros + used.micros)

    def _judge_fleet(self) -> bool:
        """Whether it may spend, or may not, otherwise than before."""
        over = [limit for limit in limits_of_fleet(self._policy, self._fleet) if limit.used >= limit.most]
        before, self._over = self._over, over[0].words("the fleet's") if over else ""
        return before != self._over

    # -- what is said -----------------------------------------------------------------------------

    def _judge_all(self, now: float, tips: str, told: Told) -> None:
        for agent in self._known:
            self._judge(agent, now, told, tips=agent == tips)

    def _judge(self, agent: str, now: float, told: Told, *, tips: bool) -> None:
        spending, policy = self._known[agent], self._agents[agent].policy
        news: list[tuple[str, str, str, str]] = []
        warned = list(spending.warned)
        reasons = self._look(limits_of(policy, self._used[agent]), "its", "agent", policy, warned, news)
        if tips:
            limits = limits_of_fleet(self._policy, self._fleet)
            self._look(limits, "the fleet's", "fleet", self._policy, warned, news)
        if self._over:
            reasons.append(self._over)
        held = "; ".join(reasons) if policy.mode == "armed" else ""
        if news or held != spending.held or tuple(warned) != spending.warned:
            told.evidence.append(BudgetJudged(agent, now, held, tuple(warned), tuple(news)))

    def _look(
        self,
        limits: Sequence[Limit],
        whose: str,
        scope: str,
        policy: Policy,
        warned: list[str],
        news: list[tuple[str, str, str, str]],
    ) -> list[str]:
        """Why nothing more may be spent; adds what is to be told, and what was told then, to the lists."""
        reasons: list[str] = []
        for limit in limits:
            over = limit.used >= limit.most
            if over:
                reasons.append(limit.words(whose))
            elif limit.used < policy.spending.warn * limit.most:
                gone = {limit.mark, f"spent {limit.mark}"}
                warned[:] = [mark for mark in warned if mark not in gone]
                self._told -= gone
                continue
            mark = f"spent {limit.mark}" if over else limit.mark
            if mark in (self._told if scope == "fleet" else warned):
                continue
            if scope == "fleet":
                self._told.add(mark)
            warned.append(mark)
            del warned[:-MOST_MARKS]
            words = limit.words(whose) if over else limit.warning(whose)
            news.append((SPENT if over else WARNED, scope, limit.mark, words))
        return reasons


MOST_MARKS = 16
"""Limits of which it is remembered that a person was told; older ones were changed since."""
