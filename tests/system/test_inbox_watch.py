"""Letters are noticed while the kernel has watches, when it has none left, and when it lost notices."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from pathlib import Path

from hhmrs.controller.letters import inbox_watch
from hhmrs.controller.letters.inbox_watch import InboxWatch

LIMITED = """
import json, select, sys, time
from pathlib import Path
from hhmrs.controller.letters import inbox_watch
from hhmrs.controller.letters.inbox_watch import InboxWatch

LIMIT = Path("/proc/sys/user/max_inotify_watches")
inbox_watch.RETRY_WATCH = 0.05
LIMIT.write_text("1")
root = Path(sys.argv[1])

def woken(watch, whom):
    over, found = time.monotonic() + 10, set()
    while not whom <= found and time.monotonic() < over:
        if select.select([watch.fileno()], [], [], 0.2)[0]:
            found |= watch.read()
    return sorted(found)

def told(watch):
    return [(m.source, m.how, m.full, "max_user_watches" in m.why) for m in watch.means()]

with InboxWatch(every=0.02) as watch:
    for name in ("a", "b"):
        (root / name).mkdir()
        watch.add(name, root / name)
    print(json.dumps(told(watch)))
    woken(watch, {"b"})
    for name in ("a", "b"):
        (root / name / "letter").write_text("x")
    print(json.dumps(woken(watch, {"a", "b"})))
    LIMIT.write_text("9")
    over = time.monotonic() + 10
    while watch.polling and time.monotonic() < over:
        time.sleep(0.02)
    woken(watch, {"b"})
    (root / "b" / "another").write_text("x")
    print(json.dumps(woken(watch, {"b"})))
    print(json.dumps(told(watch)))
"""


def woken(watch: InboxWatch, whom: set[str], deadline: float = 10.0) -> set[str]:
    """All that were named until `whom` were."""
    over, found = time.monotonic() + deadline, set[str]()
    while not whom <= found and time.monotonic() < over:
        if select.select([watch.fileno()], [], [], 0.1)[0]:
            found |= watch.read()
    return found


def test_at_the_kernels_limit_the_rest_is_looked_at_and_said_until_there_are_watches_again(
    own_limits: list[str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [*own_limits, sys.executable, "-c", LIMITED, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == 4, done.stderr
    assert lines[0] == [["letters", "1 of 2 inboxes looked at every 0.02 s", False, True]]
    assert lines[1] == ["a", "b"]
    assert lines[2] == ["b"]
    assert lines[3] == [["letters", "the kernel tells of each letter (inotify)", True, False]]


def test_when_the_kernel_lost_notices_all_inboxes_are_named(tmp_path: Path) -> None:
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    with InboxWatch() as watch:
        for name in ("busy", "calm"):
            (tmp_path / name).mkdir()
            watch.add(name, tmp_path / name)
        # Two names in turn, for the kernel drops a notice that is just like the one before it.
        pair = (tmp_path / "busy" / "a", tmp_path / "busy" / "b")
        pair[0].touch()
        for number in range(most + 10):
            pair[number % 2].rename(pair[1 - number % 2])
        assert woken(watch, {"busy", "calm"}) == {"busy", "calm"}


def test_two_letters_of_the_same_tick_are_both_looked_for(tmp_path: Path) -> None:
    moved = inbox_watch.moved_at(tmp_path)
    assert inbox_watch.is_fresh(moved), "what came just now may not have been all"
    assert not inbox_watch.is_fresh(moved - 10 * 10**9)
    assert inbox_watch.moved_at(tmp_path / "none") == -1
    with InboxWatch(every=0.01, polling=True) as watch:
        watch.add("a", tmp_path)
        assert woken(watch, {"a"}) == {"a"}
        # Nothing moves any more; yet it is looked at once again when the moment is past.
        assert woken(watch, {"a"}, deadline=inbox_watch.FRESH + 10) == {"a"}
        assert watch.means()[0].full
