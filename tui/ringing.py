"""How the terminal calls a person: its bell, and a notification of its own.

Both are written through Textual's driver, in their turn between two frames. The sequence goes where the
person sits, also over ssh; a terminal without notifications passes over it. OSC 9 is what iTerm2, kitty,
ghostty, and WezTerm read, OSC 777 what rxvt, foot and the VTE family do."""

from __future__ import annotations

from collections.abc import Mapping

from textual.message import Message

from .alarms import Call
from .looks import clean

MUTE = ("", "dumb", "linux")
"""Terminals that would print the text of an OSC, or cannot show one."""


class Calling(Message):
    """A person is to be called; the app has the terminal."""

    def __init__(self, call: Call) -> None:
        self.call = call
        super().__init__()


def sequence(call: Call, environ: Mapping[str, str]) -> str:
    """What to write for a call. The text is cleaned here once more: nothing in it can end the sequence."""
    bell = "\x07" if call.bell else ""
    text = clean(call.notice, 160).replace(";", ",").replace("\\", "/")
    inner = environ.get("TERM", "")
    if not text or inner in MUTE:
        return bell
    old = inner.startswith(("rxvt", "foot")) or "VTE_VERSION" in environ
    osc = f"\x1b]777;notify;hhmrs;{text}\x1b\\" if old else f"\x1b]9;{text}\x1b\\"
    if environ.get("TMUX"):
        # Each ESC doubled; tmux hands it on where `allow-passthrough` is on, and drops it elsewhere.
        osc = "\x1bPtmux;" + osc.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    elif inner.startswith(("screen", "tmux")):
        return bell
    return bell + osc
