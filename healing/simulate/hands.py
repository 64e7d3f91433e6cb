"""Carries out what the simulated supervisor decides, in the simulated world: slowly, one thing at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import actions as a
from .. import evidence as e
from ..agent import NudgeStep, Strategy
from ..promises import Watch
from .bodies import Body, Letter
from .chance import Agenda, Dice
from .faults import Faults
from .supervisor import Act, Supervisor
from .world import World

QUICK = 0.2
"""Seconds that most acts take, at most."""


class Hands:
    """An act has its effect some time after it was asked for, and its outcome is told a little later: a
    daemon may die before, between and after."""

    def __init__(
        self, agenda: Agenda, world: World, supervisor: Supervisor, watch: Watch, dice: Dice, faults: Faults
    ) -> None:
        self._agenda = agenda
        self._world = world
        self._supervisor = supervisor
        self._watch = watch
        self._dice = dice
        self._faults = faults
        self._letters: tuple[Letter, ...] = ()
        self._rules: dict[type, Callable[[Any, Body], list[e.Evidence]]] = {
            a.ClearGround: self._clear_ground,
            a.StartAttempt: self._start,
            a.Nudge: self._nudge,
            a.EndTree: self._end_tree,
            a.AlertAncestor: self._alert,
        }

    def take(self, act: Act) -> None:
        """Plan the act; its agent's others come first."""
        _, action = act
        if action.agent not in self._world.bodies:
            return  # the person is told
        body = self._world.bodies[action.agent]
        if isinstance(action, a.Nudge) and action.types:
            # Known before it is typed.
            typed = e.Typed(action.agent, self._supervisor.time(), action.text)
            self._agenda.after(0.0, self._supervisor.report, (self._supervisor.life, (typed,), ()))
        begin = max(self._agenda.now, body.busy_until)
        body.busy_until = begin + self._takes(action, body)
        self._agenda.after(body.busy_until - self._agenda.now, self._do, act)

    def _takes(self, action: a.Action, body: Body) -> float:
        grace = body.spec.policy.kill_grace
        if isinstance(action, a.ClearGround | a.EndTree) and body.lives:
            return self._dice.unit() * grace
        return self._dice.unit() * QUICK

    def _do(self, act: Act) -> None:
        daemon, action = act
        supervisor = self._supervisor
        if daemon != supervisor.life or not supervisor.up:
            return
        if not supervisor.awake:
            self._agenda.after(1.0, self._do, act)  # its threads are stopped like itself
            return
        body = self._world.bodies[action.agent]
        rule = self._rules.get(type(action))
        self._letters = ()
        told = rule(action, body) if rule else [self._over(action)]
        if supervisor.doom == "after the act":
            supervisor.die()
            return
        self._agenda.after(self._dice.unit() * QUICK, supervisor.report, (daemon, tuple(told), self._letters))

    def _over(self, action: a.Action, *, ok: bool = True, why: str = "", **more: bool) -> e.Evidence:
        return e.StepFinished(action.agent, self._supervisor.time(), action.key, ok, why, **more)

    def _clear_ground(self, action: a.ClearGround, body: Body) -> list[e.Evidence]:
        for life in tuple(body.lives):
            if not life.undead and self._dice.unit() < 0.1 and self._world.doing(life) == "work":
                body.done += 1
                self._world.send(life, "checkpoint", body.done)  # with its last breath
        if self._end_all(body):
            return [self._over(action, ok=False, why="it would not die", undead=True)]
        body.ground = max(body.ground, action.attempt)
        letters, self._letters = self._supervisor.drain(body)
        body.stored += 1
        taken = e.CheckpointTaken(body.spec.id, self._supervisor.time(), body.stored, body.told > 0)
        return [*letters, taken, self._over(action, resumable=body.told > 0)]

    def _end_all(self, body: Body) -> bool:
        """End every process of the agent; True when one of them would not die. Its death is seen by others
        too, sometimes long after."""
        for life in tuple(body.lives):
            if not life.undead and self._world.gone(life) and self._dice.unit() < 0.6:
                ended = e.ProcessExited(body.spec.id, self._supervisor.time(), life.attempt, None, 15)
                self._agenda.after(self._dice.wait(0.5), self._late, ended)
        return bool(body.lives)

    def _late(self, ended: e.ProcessExited) -> None:
        self._supervisor.tell(
            e.ProcessExited(ended.agent, self._supervisor.time(), ended.attempt, ended.status, ended.signal)
        )

    def _start(self, action: a.StartAttempt, body: Body) -> list[e.Evidence]:
        mine = next((life for life in body.lives if life.attempt == action.attempt), None)
        if mine is None:
            if self._dice.unit() < self._faults.failing_starts:
                denied = self._dice.unit() < 0.2
                return [self._over(action, ok=False, why="cannot start it", denied=denied)]
            self._watch.started(action, [life.attempt for life in body.lives], body.ground)
            mine = self._world.begin(body, action.attempt, action.seat)
        agent, now = body.spec.id, self._supervisor.time()
        return [e.ProcessStarted(agent, now, action.attempt, mine.pid, 1.0, "%1")]

    def _nudge(self, action: a.Nudge, body: Body) -> list[e.Evidence]:
        if not action.types:
            return [self._over(action)]
        if action.step is NudgeStep.RESCUE:
            self._world.nudged(body)
        agent, now = body.spec.id, self._supervisor.time()
        echo = e.OutputSeen(agent, now, (f"> {action.text}",))
        return [*([echo] if body.lives else []), self._over(action)]

    def _alert(self, action: a.AlertAncestor, body: Body) -> list[e.Evidence]:
        """An ancestor is asked; it answers in time, late, with what is not possible, or not at all."""
        ancestor = self._world.bodies.get(action.ancestor)
        if ancestor is not None and ancestor.lives and self._dice.unit() < 0.7:
            strategy = str(self._dice.one(tuple(Strategy)))
            answer = (body, action.incident, strategy, action.ancestor)
            self._agenda.after(self._dice.wait(body.spec.policy.decide_within), self._decided, answer)
        return [self._over(action)]

    def _decided(self, answer: tuple[Body, str, str, str]) -> None:
        body, incident, strategy, by = answer
        now = self._supervisor.time()
        self._supervisor.tell(e.Decided(body.spec.id, now, incident, strategy, by))

    def _end_tree(self, action: a.EndTree, body: Body) -> list[e.Evidence]:
        if self._end_all(body):
            return [self._over(action, ok=False, why="it would not die")]
        return [self._over(action)]
