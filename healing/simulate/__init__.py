"""A fleet's supervisor against a world of seeded faults on a fake clock, the promises asserted at each step.

Pure: a seed gives the same run for ever. `Simulation(fleet, seed, Brain).run(hours)` returns a Report; the
first broken promise is in `Report.broken`. The brain is the daemon's own (controller/daemon/brain.py), with
all that it keeps between turns; only its hands, its eyes and its ledger are played.

    chance      draws that replay, and the agenda
    faults      what may go wrong, and how often
    bodies      what the world knows of each agent
    world       what processes do, and what of it can be seen
    supervisor  the brain, its book, its inbox; how daemons die and begin
    hands       carries out actions, slowly
    storms      what strikes many at once
    run         puts them together
    report      what it comes to
"""

from .faults import BEHAVIOURS, CALM, STORMS, Fault, Faults
from .report import Report, Story
from .run import Simulation

__all__ = ["BEHAVIOURS", "CALM", "STORMS", "Fault", "Faults", "Report", "Simulation", "Story"]
