"""The settings of the fleet file from the command line: what counts, and one of them changed in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .output import Screen, inert
from .parsing import PROGRAM, Call
from .place import find_place, need_agent
from .refusal import UNHEALTHY, Refusal, usage

if TYPE_CHECKING:
    from ...config.settings import Setting
    from ..settings import Sheet
    from ..sources.settings import FleetFile


def settings(call: Call, screen: Screen) -> int:
    """`settings [--agent A]`: a line for each."""
    from ..settings import rows, shown, standing

    _, sheet, entry = _sheet(call)
    listed = rows(sheet, entry)
    if call.json:
        keys = {
            row.setting.key: {
                "value": row.value,
                "default": row.setting.default,
                "from": row.origin,
                "line": row.line or None,
                "legal": row.setting.legal,
                "meaning": row.setting.about,
                "live": row.setting.live,
            }
            for row in listed
        }
        up = sheet.up and not sheet.stale
        screen.document({"path": str(sheet.path), "agent": entry, "in_force": up, "settings": keys})
        return 0
    table = [("KEY", "VALUE", "DEFAULT", "FROM")]
    table += [
        (row.setting.key, inert(shown(row.value), 60), shown(row.setting.default), inert(row.origin, 60))
        for row in listed
    ]
    screen.say(
        f"{inert(sheet.path, 300)}: {inert(entry or 'the fleet', 80)}; {standing(sheet).partition(':')[0]}"
    )
    for line in screen.columns(table):
        screen.say(line)
    return 0


def change(call: Call, screen: Screen) -> int:
    """`set KEY VALUE`: validated, written, and waited for until it is in force. Exit 1 when the daemon does
    not take it, 2 for what the loader refuses."""
    from ..settings import Change, rows, shown

    setting = _setting(str(call.get("key")))
    file, sheet, entry = _sheet(call)
    given, back = call.get("value"), bool(call.get("default"))
    if (given is None) != back:
        raise usage(f"{PROGRAM} set: give a value for {setting.key} or --default, and not both")
    row = next(one for one in rows(sheet, entry) if one.setting is setting)
    if row.off:
        raise usage(f"{PROGRAM} set: {setting.key} cannot be changed here: {row.off}")
    value = None if back else setting.value_of(given)
    if value is not None and (why := setting.why_not(value)):
        raise usage(f"{PROGRAM} set: {setting.key}: {inert(why, 600)}")
    told = "the default" if value is None else shown(value)
    if row.own if value is not None and row.value == value else (value is None and not row.own):
        return _answer(screen, call, written=False, in_force=None, words=f"{setting.key} is {told} already")
    words = f"{setting.key} of {entry or 'the fleet'}: {shown(row.value)} -> {told}"
    preview = file.preview(sheet, Change(words, setting.path(entry), value))
    if preview.problems:
        raise usage(*(inert(problem, 1000) for problem in preview.problems))
    if call.get("dry_run"):
        for line in preview.lines:
            screen.say(inert(line, 1000))
        return 0
    done = file.apply(preview)
    if not done.written:
        raise Refusal(UNHEALTHY, f"{PROGRAM} set: {inert(done.words, 1000)}")
    return _answer(screen, call, written=True, in_force=done.in_force, words=f"{words}: {done.words}")


def _answer(screen: Screen, call: Call, *, written: bool, in_force: bool | None, words: str) -> int:
    if call.json:
        screen.document({"written": written, "in_force": in_force, "message": words})
    else:
        screen.say(inert(words, 1000))
    return UNHEALTHY if in_force is False else 0


def _setting(key: str) -> Setting:
    from ...config.problems import closest
    from ...config.settings import settings as known

    setting = known().get(key)
    if setting is None:
        near = closest(key, list(known())) or f"; `{PROGRAM} settings` lists them"
        raise usage(f"{PROGRAM} set: no setting {inert(key, 60)!r}{near}")
    return setting


def _sheet(call: Call) -> tuple[FleetFile, Sheet, str | None]:
    """The fleet file as it is, and the entry that `--agent` names."""
    from ..sources.settings import FleetFile

    place = find_place(call)
    spec, agent = place.need_spec(), call.get("agent")
    file = FleetFile(place.state, spec.path)
    sheet = file.read()
    if agent is None:
        return file, sheet, None
    if agent not in sheet.entries.values() and need_agent(place, agent) is None:
        raise usage(f"{PROGRAM}: agent {inert(agent, 80)} is not in the fleet file")
    return file, sheet, sheet.entries.get(agent, agent)
