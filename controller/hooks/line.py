"""The one line of shell that a CLI runs for each of its hooks: it writes a letter and renames it.

No Python starts for it. What the CLI says on stdin is never looked at by the shell: it follows the letter's
head, which is one line of JSON, as it came, up to MOST_SAID bytes; the rest is read and thrown away, for a
CLI may take a closed pipe for an error. Without $HHMRS_INBOX nothing is written, so that a session of the
user's own goes on as if there were no hook. Whatever goes wrong, it is silent and ends with 0: no hook of
ours may block what the agent does."""

from __future__ import annotations

import re

MOST_SAID = 65_536
"""Bytes of a payload that are kept: the fields of use come first, whole files that a tool wrote come last."""
MARK = "hhmrs-hook"
"""By this word in a command it is known as ours."""

# No single quote: it is given to `sh -c` in such, since nobody knows which shell the CLI runs a command with.
_SCRIPT = (
    "exec >/dev/null 2>&1; [ -t 0 ] && exec </dev/null; "
    'if [ -n "$HHMRS_INBOX" ] && cd "$HHMRS_INBOX"; then '
    'umask 077; set -- "$1" "$2" $(date -u "+%Y-%m-%dT%H:%M:%SZ %s"); n=hook.$4.$$; '
    '{ printf "{\\"kind\\":\\"hook\\",\\"agent\\":\\"%s\\",\\"attempt\\":%s,\\"at\\":\\"%s\\",'
    '\\"cli\\":\\"%s\\",\\"event\\":\\"%s\\"}\\n" "$HHMRS_AGENT" "${HHMRS_ATTEMPT:-0}" "$3" "$1" "$2" && '
    f'{{ head -c {MOST_SAID} || :; }}; }} >"tmp/$n" && mv "tmp/$n" "new/$n" || rm -f "tmp/$n"; '
    "fi; cat; exit 0"
)
_OURS = re.compile(rf"/bin/sh -c '[^']*HHMRS_INBOX[^']*' {MARK} [a-z]+ [A-Za-z]+")


def command(cli: str, event: str) -> str:
    """The line for one event of one CLI; both are names of ours."""
    return f"/bin/sh -c '{_SCRIPT}' {MARK} {cli} {event}"


def is_ours(text: object) -> bool:
    """It is a line of ours, of this or of an older version."""
    return isinstance(text, str) and _OURS.fullmatch(text) is not None
