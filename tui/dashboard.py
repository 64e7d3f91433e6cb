"""The document of `hhmrs stats --json` as a page of charts. Pure: the figures are the document's own, none is
reckoned here, so that the screen and the command cannot disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from ..controller.reports.stats import observed_lines
from .charts import (
    Bar,
    Grid,
    Kind,
    axis,
    bars,
    beside,
    gauge,
    grid,
    legend,
    margin_of,
    sparkline,
    stacks,
    tallies,
    trimmed,
    unit,
)
from .localtime import zone_name
from .looks import clean
from .prose import Line
from .tones import Tone

HEIGHT = 6
"""Rows of the columns over time."""
NARROW = 66
"""Below this the targets are told in fewer words."""
WIDE = 110
"""From here on two charts stand next to each other."""
KINDS = (
    Kind("recovered", "█", "#", Tone.GOOD),
    Kind("by itself", "▒", "+", Tone.HOLD),
    Kind("cleared", "░", ":", Tone.QUIET),
    Kind("open", "○", "o", Tone.LIMIT),
    Kind("given up", "✗", "x", Tone.BAD),
)
"""How an incident ended, the gravest last."""
_COUNTED = ("recovered", "by_itself", "cleared", "open", "given_up")
_RATES = (
    ("recovered", ("recovery_success_rate",)),
    ("first try, small", ("first_try_success", "small")),
    ("first try, large", ("first_try_success", "large")),
)
FEW = 3
"""Agents that are named where many had the same cause."""
_LABEL = 16
_HOURS = 3600.0
_DAYS = 86_400.0


def dashboard(
    document: Mapping[str, Any], width: int, plain: bool = False, zone: tzinfo | None = None
) -> list[Line]:
    """The page in lines of at most `width` cells; `zone`: whose clock stands under the columns."""
    if not _anything(document):
        return [trimmed(line, width) for line in _nothing(document)]
    lines = [*_summary(document), ()]
    lines += [*_rates(document, width, plain), *_times(document, width), ()]
    lines += [*over_time_lines(document, width, plain, zone), ()]
    half = (width - 4) // 2 if width >= WIDE else width
    causes, attempts = _causes(document, half, plain), _attempts(document, half, plain)
    if width >= WIDE and causes and attempts:
        lines += [*beside(causes, attempts, half + 4), ()]
    else:
        lines += [line for block in (causes, attempts) if block for line in (*block, ())]
    lines += _agents(document, width, plain)
    lines += [((line, Tone.QUIET),) for line in observed_lines(document["would_have"])]
    lines = [trimmed(line, width) for line in lines]
    while not lines[-1]:
        lines.pop()
    return lines


def span_words(document: Mapping[str, Any], zone: tzinfo | None = None) -> str:
    """`last night: Fri 20 Nov 18:00 to Sat 21 Nov 09:00`, by the person's clock."""
    span = document["span"]
    slices = document["over_time"]
    if not slices or (span["since"] is None and not _anything(document)):
        return str(span["words"])
    first, last = (_local(at, zone) for at in (slices[0]["since"], slices[-1]["until"]))
    return f"{span['words']}: {first:%a %d %b %H:%M} to {last:%a %d %b %H:%M}"


def _anything(document: Mapping[str, Any]) -> bool:
    names = ("reasons", "actions_sent", "total_tasks")
    return any(document[name] for name in names) or bool(document["would_have"]["incidents"])


def _nothing(document: Mapping[str, Any]) -> list[Line]:
    """An empty page says why it is empty."""
    ever = document["span"]["incidents_ever"]
    if document["span"]["since"] is None:
        return [
            (("Nothing to count yet: the ledger has no incident, no attempt and no ended task.", Tone.TEXT),),
            (("Figures come with the first one; `hhmrs demo` shows a fleet that has some.", Tone.QUIET),),
        ]
    return [
        (("Nothing happened in this time: no incident, no attempt, no ended task.", Tone.GOOD),),
        ((f"Incidents in the whole ledger: {ever}; `a` shows all of it.", Tone.QUIET),),
    ]


def _summary(document: Mapping[str, Any]) -> list[Line]:
    incidents = sum(one["incidents"] for one in document["over_time"])
    head: list[tuple[str, Tone]] = [(f"{_many(incidents, 'incident')}   ", Tone.TEXT)]
    sent, proved = document["actions_sent"], document["successful"]
    head.append((f"{_many(sent, 'attempt')}: {proved} proved, {document['failed']} failed", Tone.TEXT))
    if document["pending"]:
        head.append((f", {document['pending']} under way", Tone.LIMIT))
    return [tuple(head)]


def _rates(document: Mapping[str, Any], width: int, plain: bool) -> list[Line]:
    lines: list[Line] = []
    for name, path in _RATES:
        goal: Any = document
        for key in path:
            goal = goal[key]
        lines.append(_rate(name, goal["value"], goal["target"], goal["n"], width, plain))
    ended = document["total_actions"]
    return [*lines, _rate("attempts proved", document["success_rate"], None, ended, width, plain)]


def _rate(name: str, value: float | None, target: float | None, of: int, width: int, plain: bool) -> Line:
    narrow = width < NARROW
    words = "" if target is None else f"{'' if narrow else 'target '}{target:g} %"
    if value is None:
        return ((f"{name:<{_LABEL}} {'-':>7}  ", Tone.TEXT), (f"nothing to measure  {words}", Tone.QUIET))
    if target is not None:
        verdict = "met" if value >= target else "missed"
        words = f"{verdict} {words}" if narrow else f"{words} {verdict}"
    number = f"{name:<{_LABEL}} {_percent(value):>7} {f'of {of}':<9}"
    cells = max(4, min(50, width - len(number) - (13 if narrow else 20)))
    tone = Tone.TEXT if target is None else Tone.GOOD if value >= target else Tone.SICK
    return ((number, Tone.TEXT), *gauge(value, target, cells, plain), (f"  {words}".rstrip(), tone))


def _times(document: Mapping[str, Any], width: int) -> list[Line]:
    """In one line where there is room."""
    told = [
        f"to notice (MTTD) {_seconds(document['mttd_s'])}",
        f"to repair (MTTR) {_seconds(document['mttr_s'])}",
        f"attempt to proof {_seconds(document['average_recovery_time_s'])}",
        f"false alarms {document['false_alarms']}",
        f"failed for good after recovery {document['failed_after_recovery']}",
    ]  # fmt: skip
    lines: list[str] = [""]
    for words in told:
        joined = f"{lines[-1]}   {words}" if lines[-1] else words
        lines[-1:] = [joined] if len(joined) <= width else [lines[-1], words]
    return [((line, Tone.TEXT),) for line in lines]


def over_time_lines(
    document: Mapping[str, Any], width: int, plain: bool = False, zone: tzinfo | None = None
) -> list[Line]:
    """Stacked columns of the incidents in each slice, their legend, and the mean time to repair below."""
    slices = document["over_time"]
    totals = [sum(one[name] for one in slices) for name in _COUNTED]
    each = _local(slices[0]["until"], zone).timestamp() - _local(slices[0]["since"], zone).timestamp()
    shape = grid(len(slices), max(8, width - 8))
    folded = [slices[at : at + shape.fold] for at in range(0, len(slices), shape.fold)]
    counts = [[sum(one[name] for one in few) for name in _COUNTED] for few in folded]
    margin = margin_of(counts, HEIGHT)
    step = unit(max(map(sum, counts)), HEIGHT)
    scale = f", a cell for {step}" if step > 1 else ""
    clock = zone_name(_local(slices[-1]["until"], zone).timestamp(), zone)
    told = f"{scale}; times in {clock}"
    head: Line = ((f"Incidents per {_width(each * shape.fold)}", Tone.BUSY), (told, Tone.QUIET))
    lines = [head, *_legend(totals, width, plain)]
    if sum(totals):
        lines += stacks(counts, KINDS, shape, HEIGHT, plain)
        lines.append(axis(_labels(folded, each * shape.fold, zone), shape, margin, width))
        lines += _given_up(counts, shape, margin, plain)
        lines += _repairs(folded, shape, margin, plain)
    return lines


def _legend(totals: Sequence[int], width: int, plain: bool) -> list[Line]:
    """The kinds that came up, gravest first; in two lines where one is too narrow."""
    there = [(count, kind) for count, kind in zip(totals, KINDS, strict=True) if count][::-1]
    if not there:
        return [(("none", Tone.QUIET),)]
    whole = legend([count for count, _ in there], [kind for _, kind in there], plain)
    if sum(len(text) for text, _ in whole) - 3 <= width:
        return [whole]
    half = (len(there) + 1) // 2 * 2
    return [whole[:half], whole[half:]]


def _given_up(counts: Sequence[Sequence[int]], shape: Grid, margin: int, plain: bool) -> list[Line]:
    """How many were given up in each column: too few for a cell of the stack, and what one looks for."""
    grave = KINDS[-1]
    if not any(count[-1] for count in counts):
        return []
    sign = f"{grave.letter(plain):>{margin - 1}} "
    return [((sign + tallies([count[-1] for count in counts], shape), grave.tone),)]


def _repairs(folded: Sequence[Sequence[Any]], shape: Grid, margin: int, plain: bool) -> list[Line]:
    """The mean time to repair under each column."""
    means = [_mean([(one["mttr_s"], one["repairs"]) for one in few]) for few in folded]
    known = [mean for mean in means if mean is not None]
    if not known:
        return []
    # One letter a column, as wide as the column, so that both stand on the same axis.
    drawn = "".join(
        letter * shape.drawn + " " * (shape.cells - shape.drawn) for letter in sparkline(means, plain)
    )
    least, most = _seconds(min(known)), _seconds(max(known))
    told = f"mean time to repair, from {least} to {most}" if least != most else f"mean time to repair, {most}"
    return [((" " * margin + drawn.rstrip(), Tone.BUSY),), ((" " * margin + told, Tone.QUIET),)]


def _mean(parts: Sequence[tuple[float | None, int]]) -> float | None:
    known = [(mean, count) for mean, count in parts if mean is not None and count]
    whole = sum(count for _, count in known)
    return sum(mean * count for mean, count in known) / whole if whole else None


def _causes(document: Mapping[str, Any], width: int, plain: bool) -> list[Line]:
    rows = [
        Bar(clean(cause, 40), reason["count"], (str(reason["count"]), f"{reason['share']:g} %"),
            _names(reason["agents"]), Tone.SICK)
        for cause, reason in document["reasons"].items()
    ]  # fmt: skip
    return [(("Causes", Tone.BUSY),), *bars(rows, width, plain)] if rows else []


def _attempts(document: Mapping[str, Any], width: int, plain: bool) -> list[Line]:
    groups = sorted(document["by_strategy"].items(), key=lambda item: (-item[1]["total"], item[0]))
    rows = [
        Bar(clean(name, 40), group["total"], (str(group["total"]), _percent(group["success_rate"])),
            f"{group['successful']} proved, {group['failed']} failed", Tone.HOLD)
        for name, group in groups
    ]  # fmt: skip
    return [(("Retries by strategy", Tone.BUSY),), *bars(rows, width, plain)] if rows else []


def _agents(document: Mapping[str, Any], width: int, plain: bool) -> list[Line]:
    rows = [
        Bar(clean(one["agent"], 64), one["incidents"], (str(one["incidents"]), _long(one["seconds"])),
            f"{one['recovered']} recovered, {one['given_up']} given up, {_many(one['actions'], 'attempt')}",
            Tone.LIMIT)
        for one in document["most_troubled"]
    ]  # fmt: skip
    title = "Agents most in trouble: incidents, time in them"
    return [((title, Tone.BUSY),), *bars(rows, width, plain), ()] if rows else []


def _labels(folded: Sequence[Sequence[Any]], width_s: float, zone: tzinfo | None) -> list[str]:
    starts = [_local(few[0]["since"], zone) for few in folded]
    if width_s >= _DAYS:
        return [f"{at:%d %b}" + "  " for at in starts]
    if (starts[-1] - starts[0]).total_seconds() > 2 * _DAYS:
        days = [at.date() for at in starts]
        return [
            f"{at:%a %d} " if number == 0 or days[number - 1] != at.date() else ""
            for number, at in enumerate(starts)
        ]
    return [(f"{at:%H} " if width_s >= _HOURS else f"{at:%H:%M} ") for at in starts]


def _width(seconds: float) -> str:
    for name, one in (("day", _DAYS), ("hour", _HOURS), ("minute", 60.0)):
        if seconds >= one:
            count = round(seconds / one)
            return name if count == 1 else f"{count} {name}s"
    return f"{seconds:g} s"


def _local(text: str, zone: tzinfo | None) -> datetime:
    return datetime.fromisoformat(text).astimezone(zone)


def _names(agents: Sequence[str]) -> str:
    few = agents if len(agents) <= FEW else agents[: FEW - 1]
    more = f" and {len(agents) - len(few)} more" if len(agents) > len(few) else ""
    return clean(", ".join(few) + more, 200)


def _many(count: int, word: str) -> str:
    return f"{count} {word}" + ("" if count == 1 else "s")


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:g} %"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


def _long(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
