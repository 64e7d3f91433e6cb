"""Signs of one kind that one agent gave one after the other are one sign: the newest, with their number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ...healing import evidence as e

CROWDS = (e.BeatReceived, e.OutputSeen, e.FileChanged, e.TranscriptGrew)


def gathered(batch: Iterable[e.Evidence]) -> list[e.Evidence]:
    """The batch with every run of like signs of an agent as one; all other evidence, and the order in which
    each agent's own things happened, stay as they were."""
    found: list[e.Evidence | None] = []
    last: dict[str, int] = {}
    for evidence in batch:
        at = last.get(evidence.agent)
        before = found[at] if at is not None else None
        both = _joined(before, evidence) if before is not None else None
        if both is not None and at is not None:
            found[at] = None
            evidence = both
        last[evidence.agent] = len(found)
        found.append(evidence)
    return [one for one in found if one is not None]


def _joined(before: e.Evidence, after: e.Evidence) -> e.Evidence | None:
    """What both say together; None when they say different things."""
    if type(before) is not type(after) or not isinstance(after, CROWDS):
        return None
    if after.at < before.at:
        return None
    if isinstance(before, e.BeatReceived) and isinstance(after, e.BeatReceived):
        if before.by_file is not after.by_file:
            return None
        # What the newer leaves out still stands as the older said it.
        return replace(
            after,
            progress=before.progress if after.progress is None else after.progress,
            message=after.message or before.message,
            count=before.count + after.count,
        )
    if isinstance(before, e.OutputSeen) and isinstance(after, e.OutputSeen):
        return after if not (before.lines or after.lines or before.primed or after.primed) else None
    return after
