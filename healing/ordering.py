"""One order for what was read in one turn, so that a state is a function of what happened.

Sources are read one after another, in whatever order they were woken. Evidence of the same moment is put in
the order below before it is believed; what one source told keeps the order in which that source told it.
"""

from __future__ import annotations

from collections.abc import Iterable

from . import evidence as e

_SOURCES: tuple[tuple[type, ...], ...] = (
    (e.SupervisorStalled,),  # our own clock first: nobody's silence counts while we slept
    (e.SeenAgain, e.PaneLost, e.Unseen),
    (e.ProcessStarted, e.ProcessAdopted),
    (e.PersonPresent, e.Typed),  # before the echo of it
    (e.PaneLabelled,),
    (e.ProcessMeasured, e.ConnectionSeen),
    (e.OutputSeen,),
    (e.FileChanged,),
    (e.TranscriptGrew, e.SessionLearned, e.UsageTold),
    (e.ScreenMatched, e.ScreenCleared, e.ErrorShown, e.ReadyProbed),
    # What it says itself outranks what its screen looks like.
    (
        e.HookTold,
        e.BeatReceived,
        e.CheckpointReceived,
        e.AskReceived,
        e.DoneReceived,
        e.FailReceived,
        e.LetterRefused,
    ),
    (e.CheckpointTaken, e.StepFinished),
    (e.ProcessExited,),  # its last words and letters came before its end
    (e.DecidersKnown, e.Decided, e.ChildrenRecovering, e.ChildrenWell),  # about others, after its own end
    (e.CauseShared, e.HeldBack, e.LetGo, e.BudgetJudged),
    (e.TaskGiven, e.Ordered),  # given to what is left
)
SOURCE: dict[type, int] = {kind: rank for rank, kinds in enumerate(_SOURCES) for kind in kinds}
"""Which source tells of an evidence; of two at the same moment the higher one has the last word."""


def in_order(batch: Iterable[e.Evidence]) -> list[e.Evidence]:
    """The evidence of one turn in the one order in which it is to be believed: by time, then by source."""
    return sorted(batch, key=_place)


def _place(evidence: e.Evidence) -> tuple[float, int]:
    return evidence.at, SOURCE[type(evidence)]
