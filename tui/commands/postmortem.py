"""`report`: the post-mortem of one incident, from the book and the snapshots; needs no daemon."""

from __future__ import annotations

from ...config.problems import closest
from .output import Screen, inert
from .parsing import PROGRAM, Call
from .place import Place, find_place
from .refusal import Refusal, usage


def report(call: Call, screen: Screen) -> int:
    from ...controller.reports.postmortems import post_mortem_in

    place, incident = find_place(call), call.get("incident")
    reader = place.reader()
    found = post_mortem_in(place.state, reader, place.spec, incident) if reader is not None else None
    if found is None:
        raise _unknown(place, incident)
    if call.get("export") is not None:
        from ..report_page import report_page
        from .writing import write_out

        return write_out(report_page(incident, found.page), call, screen)
    if call.json:
        names = ("agent", "task", "symptom", "cause", "opened", "closed", "outcome")
        told = {name: getattr(found.case, name) for name in names}
        page = {"lessons": list(found.lessons), "markdown": found.page()}
        screen.document({"incident": incident, **told, **page})
        return 0
    for line in found.page().splitlines():
        screen.say(line)
    return 0


def _unknown(place: Place, incident: str) -> Refusal:
    reader = place.reader()
    known = reader.incident_ids() if reader is not None else []
    near = closest(incident, known)
    if not near:
        near = f"; the newest are {', '.join(known[:5])}" if known else "; it has had none"
    return usage(f"{PROGRAM}: no incident {inert(incident, 80)!r} in fleet {place.state.fleet}{inert(near)}")
