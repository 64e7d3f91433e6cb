"""tmux's own language: words quoted so that they arrive byte for byte, and the rows of list-panes read back.

Commands travel as lines of tmux's configuration language, never as argv of a tmux client: argv loses a
trailing `;`, ends at 16 KB, and shows every secret of an agent's environment to `ps`.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..ports import PaneView, TerminalsError

AGENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
MARK = "@hhmrs_server"
"""Server option that holds `ours` on a server which read our configuration."""
FLEET = "@hhmrs_fleet"
"""Server option that holds the fleet's name: `hhmrs-x-2` may be the fleet x-2's or the second of x."""
HUB = "_hub"
"""The session our control client attaches to; no agent's name can start with an underscore."""

TITLE = "#{?#{e|>:#{n:pane_title},1024},(a title of more than 1024 bytes),#{pane_title}}"
"""It may be a megabyte long, and the titles of some panes make an answer that has no end. tmux's own way to
cut a text (`=256:`) lets pass what looks like a style."""
# A title is whatever the agent's program says it is, so it stands last; letters keep empty fields visible.
ROW_FORMAT = (
    "#{@hhmrs_agent} #{pane_id} #{pane_pid} t#{pane_tty}"
    " #{pane_dead} s#{pane_dead_status} g#{pane_dead_signal} n#{@hhmrs_attempt}"
    " #{session_attached} #{pane_in_mode} #{alternate_on} #{history_size}"
    f" #{{cursor_x}} #{{cursor_y}} #{{window_activity}} #{{pid}} i#{{insert_flag}} x{TITLE}"
)
WHOSE_FORMAT = f"#{{{MARK}}}/#{{{FLEET}}}/#{{pid}}/#{{start_time}}"
"""What a server says of itself; `read_owner` reads it."""
_FIELDS = 18
_TITLE_KEPT = 256
_SPECIAL = frozenset(b'"\\$~')
_STRING_LIMIT = 128 * 1024 - 1
"""Linux refuses a longer single argument or variable (MAX_ARG_STRLEN)."""
_OF_THE_TERMINAL = frozenset(
    {"TMUX", "TMUX_PANE", "TERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "COLUMNS", "LINES", "PWD", "STY"}
)
"""Variables that describe the terminal somebody started us in; inside a pane they would be lies."""


def encode(word: str) -> bytes:
    """The bytes of `word` as they stand in argv and environ. Raises TerminalsError for what cannot."""
    try:
        raw = word.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise TerminalsError(f"a text for tmux is not valid Unicode: {word[:40]!r}; mend it") from None
    if 0 in raw:
        raise TerminalsError(f"a text for tmux holds a NUL byte: {word[:40]!r}; remove it")
    return raw


def quote(word: str) -> bytes:
    """`word` as one double-quoted tmux word."""
    out = bytearray(b'"')
    for byte in encode(word):
        if byte < 0x20 or byte in {0x7F, 0xFF}:  # tmux's reader takes a bare 0xFF for the end of its input
            out += b"\\%03o" % byte
            continue
        if byte in _SPECIAL:
            out += b"\\"
        out.append(byte)
    return bytes(out + b'"')


def command_line(*commands: Sequence[str]) -> bytes:
    """One line of tmux commands; tmux drops the rest of the line after the first that fails."""
    return b" ; ".join(b" ".join([c[0].encode(), *map(quote, c[1:])]) for c in commands) + b"\n"


def check_agent(name: str) -> str:
    """`name` if it can name a session of ours. Raises TerminalsError."""
    if not AGENT_NAME.match(name):
        raise TerminalsError(f"{name[:80]!r} cannot name an agent: [A-Za-z0-9][A-Za-z0-9_-]{{0,63}}")
    return name


def panes_of(agent: str) -> list[str]:
    """Lists the agent's pane by its label: a person may have renamed its session, or moved it to another.
    Raises TerminalsError."""
    return ["list-panes", "-a", "-f", f"#{{==:#{{@hhmrs_agent}},{check_agent(agent)}}}", "-F", ROW_FORMAT]


def launch_words(argv: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """`-e` words and the command, as separate words so that no shell reads them. Raises TerminalsError.

    tmux gives a lone word to a shell, and ends mutely with 1 where a command is missing: `env` becomes the
    command (the pid is its own) or says why not, with 127 or 126 as a shell would."""
    if not argv or not argv[0]:
        raise TerminalsError("the command is empty; give the agent a `command`")
    if "=" in argv[0]:
        raise TerminalsError(f"the command's name {argv[0][:80]!r} holds a `=`; give it another name or path")
    kept = {k: v for k, v in env.items() if k not in _OF_THE_TERMINAL}
    for name in kept:
        if not name or "=" in name:
            raise TerminalsError(f"{name[:80]!r} cannot name an environment variable")
    pairs = [f"{k}={v}" for k, v in kept.items()]
    strings = [encode(word) for word in (*pairs, *argv)]
    for raw in strings:
        if len(raw) > _STRING_LIMIT:
            raise TerminalsError(f"{raw[:40]!r}... has {len(raw)} bytes; the system takes {_STRING_LIMIT}")
    if sum(len(raw) + 9 for raw in strings) > os.sysconf("SC_ARG_MAX") - 8192:
        raise TerminalsError("command and environment together are too long for the system; shorten them")
    flags = [word for pair in pairs for word in ("-e", pair)]
    # tmux overwrites a PATH given by `-e` with that of the client, unless that is attached.
    path = [f"PATH={kept['PATH']}"] if "PATH" in kept else []
    return [*flags, "--", shutil.which("env") or "/usr/bin/env", "--", *path, *argv]


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose server answers on a socket: the fleet's name, or None where hhmrs did not start it.

    `since`: when it was started, in whole seconds since the epoch."""

    fleet: str | None
    pid: int
    since: int


def read_owner(line: str, socket: str) -> Owner | None:
    """The owner as WHOSE_FORMAT tells it, or None when `line` is something else."""
    mark, fleet, pid, since, *more = f"{line}///".split("/", 4)
    if not (pid.isdecimal() and since.isdecimal()) or more != ["//"]:
        return None
    # Servers that were started before fleets had several do not name theirs; it had no other socket.
    return Owner((fleet or socket.removeprefix("hhmrs-")) if mark == "ours" else None, int(pid), int(since))


@dataclass(frozen=True, slots=True)
class Row:
    """One pane of ours in one list-panes answer. `closed`: its terminal was read to the end.

    `activity`: whole seconds since the epoch of its last output. `history`: lines above the visible ones.
    `marked`: its launcher's mark (insert mode) was read, and so was all that was printed before it."""

    view: PaneView
    closed: bool
    alternate: bool
    history: int
    activity: int
    server: int
    marked: bool


def read_row(line: str) -> Row | None:
    """The row that `line` holds, or None when it is not about a pane of ours (or not whole)."""
    parts = line.split(" ", _FIELDS - 1)
    if len(parts) != _FIELDS or not parts[0]:
        return None
    (agent, pane, pid, tty, dead, status, sig, attempt, attached, mode, alternate, history, cx, cy,
     activity, server, insert, title) = parts  # fmt: skip
    try:
        gone = dead == "1" or status != "s" or sig != "g"
        view = PaneView(
            agent=agent, pane=pane, pid=int(pid), tty=tty[1:], dead=gone,
            status=int(status[1:]) if len(status) > 1 else None, signal=_signal(sig[1:]),
            attempt=int(attempt[1:] or 0), attached=int(attached) > 0,
            change_key=f"{pane} {pid} {history} {cx} {cy} {activity} {title}",
            title=title[1 : _TITLE_KEPT + 1], in_mode=int(mode or 0) > 0,
        )  # fmt: skip
        closed, read = dead == "1", insert == "i1"
        return Row(view, closed, alternate == "1", int(history), int(activity or 0), int(server), read)
    except ValueError:
        return None


def read_rows(lines: Iterable[str]) -> list[Row]:
    """All panes of ours, each once: a grouped session shows its panes again, and somebody may sit there."""
    rows: dict[str, Row] = {}
    for line in lines:
        row = read_row(line)
        if row is None:
            continue
        before = rows.get(row.view.pane)
        if before is not None and before.view.attached and not row.view.attached:
            row = replace(row, view=replace(row.view, attached=True))
        rows[row.view.pane] = row
    return list(rows.values())


def _signal(text: str) -> int | None:
    """tmux prints a number where libc has no sys_signame, else a name such as TERM."""
    if not text:
        return None
    if text.isdecimal():
        return int(text)
    found = getattr(signal, "SIG" + text.upper().removeprefix("SIG"), None)
    return int(found) if isinstance(found, signal.Signals) else None
