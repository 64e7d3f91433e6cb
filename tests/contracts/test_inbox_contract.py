"""The only door in: what passes, what goes to bad/, and that no acknowledged letter is lost."""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hhmrs.config.paths import StateDir
from hhmrs.controller.letters import quarantine
from hhmrs.controller.letters.inbox import OPERATOR, Inbox
from hhmrs.controller.letters.inbox_watch import InboxWatch
from hhmrs.controller.timestamps import to_iso
from hhmrs.healing.evidence import Evidence, LetterRefused


class Clock:
    def now(self) -> float:
        return time.time()


@dataclass
class Post:
    """One fleet's inboxes with the agent `worker` in attempt 2."""

    state: StateDir
    workspace: Path
    heard: list[Evidence] = field(default_factory=list)
    watch: InboxWatch | None = None

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        """As a new daemon does."""
        self.inbox = Inbox(self.state, self.heard.append, Clock(), self.watch)
        self.folder = self.inbox.make("worker", self.workspace)
        self.desk = self.inbox.make_operator()

    def write(
        self, name: str = "a", *, to: Path | None = None, raw: bytes | None = None, **fields: Any
    ) -> Path:
        folder = to or self.folder
        letter = {"kind": "beat", "agent": "worker", "attempt": 2, "at": to_iso(time.time()), **fields}
        text = json.dumps(letter).encode() if raw is None else raw
        (folder / "tmp" / name).write_bytes(text)
        return (folder / "tmp" / name).rename(folder / "new" / name)

    def order(self, **fields: Any) -> None:
        now = time.time()
        letter = {
            "kind": "order",
            "id": "o1",
            "order": "pause",
            "agent": "worker",
            "by": "me@here",
            "at": to_iso(now),
            "expires": to_iso(now + 60),
            "args": {},
            **fields,
        }
        self.write("order", to=self.desk, raw=json.dumps(letter).encode())

    @property
    def reasons(self) -> list[str]:
        return [item.reason for item in self.heard if isinstance(item, LetterRefused)]

    def bad(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "bad").iterdir())


@pytest.fixture
def post(tmp_path: Path) -> Post:
    state = StateDir(tmp_path / "state", "nightly")
    state.create()
    (tmp_path / "work").mkdir()
    return Post(state, tmp_path / "work")


def test_the_maildir_is_private(post: Post) -> None:
    for folder in (post.folder, *(post.folder / name for name in ("tmp", "new", "bad"))):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_letter_is_read_once_and_removed_when_acknowledged(post: Post) -> None:
    path = post.write(state="planning", progress=0.5, message="hi", metadata={"n": [1]}, extra="ignored")
    (letter,) = post.inbox.drain("worker", 2)
    assert letter.fields == {"state": "planning", "progress": 0.5, "message": "hi", "metadata": {"n": [1]}}
    assert post.inbox.drain("worker", 2) == []
    assert path.exists()
    post.inbox.ack(letter)
    assert not path.exists()
    assert (post.reasons, post.bad()) == ([], [])


def test_a_daemon_killed_before_the_acknowledgement_reads_it_again_under_the_same_id(post: Post) -> None:
    post.write(kind="done", summary="ready")
    (first,) = post.inbox.drain("worker", 2)
    post.open()
    (again,) = post.inbox.drain("worker", 2)
    assert again == first


def test_a_name_used_twice_is_two_letters(post: Post) -> None:
    post.write("same", message="one")
    (one,) = post.inbox.drain("worker", 2)
    post.write("same", message="two")
    post.inbox.ack(one)
    (two,) = post.inbox.drain("worker", 2)
    assert (two.fields["message"], two.id == one.id) == ("two", False)


def test_oldest_first_and_no_more_than_asked(post: Post) -> None:
    for number in range(5):
        os.utime(post.write(f"n{9 - number}", message=str(number)), ns=(0, 10**18 + number))
    assert [letter.fields["message"] for letter in post.inbox.drain("worker", 2, limit=3)] == ["0", "1", "2"]
    assert [letter.fields["message"] for letter in post.inbox.drain("worker", 2, limit=3)] == ["3", "4"]


def test_a_flood_of_bad_ones_does_not_hide_a_good_one(post: Post) -> None:
    for number in range(20):
        os.utime(post.write(f"bad{number:02d}", raw=b"{"), ns=(0, 10**18))
    post.write("good")
    assert len(post.inbox.drain("worker", 2, limit=5)) == 1
    assert len(post.reasons) == 20


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"attempt": 1}, "attempt 1"),
        ({"attempt": 3}, "attempt 3"),
        ({"attempt": "2"}, "whole number"),
        ({"attempt": True}, "whole number"),
        ({"agent": "other"}, "not for worker"),
        ({"kind": "shout"}, "kind"),
        ({"kind": ["beat"]}, "kind"),
        ({"kind": "order", "order": "stop"}, "no orders"),
        ({"at": "yesterday"}, "ISO"),
        ({"at": "2026-11-21T10:00:00"}, "ISO"),
        ({"at": 5}, "ISO"),
        ({"state": "dancing"}, "state"),
        ({"state": []}, "state"),
        ({"progress": 1.5}, "progress"),
        ({"progress": True}, "progress"),
        ({"progress": 10**400}, "progress"),
        ({"message": 5}, "message"),
        ({"metadata": []}, "metadata"),
        ({"kind": "checkpoint", "files": "x"}, "files"),
        ({"kind": "checkpoint", "next": [1]}, "next"),
        ({"kind": "checkpoint", "data": 1}, "data"),
        ({"kind": "done", "exit_code": 1.5}, "exit_code"),
        ({"kind": "ask", "question": " "}, "question"),
        ({"kind": "ask"}, "question"),
        ({"kind": "decide", "incident": "i"}, "strategy"),
        ({"kind": "decide", "strategy": "restart"}, "incident"),
        ({"kind": "decide", "incident": "i", "strategy": "explode"}, "strategy"),
    ],
)
def test_what_is_not_valid_goes_to_bad_with_its_reason(post: Post, change: dict[str, Any], says: str) -> None:
    post.write("letter.json", **change)
    assert post.inbox.drain("worker", 2) == []
    assert post.bad() == ["letter.json", "letter.json.reason"]
    assert says in (post.folder / "bad" / "letter.json.reason").read_text()
    assert len(post.reasons) == 1
    assert says in post.reasons[0]


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "object"),
        (b"\xff{}", "UTF-8"),
        (b'{"a":1,"a":2}', "twice"),
        (b'{"a":{"b":1,"b":2}}', "twice"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":' + b"[" * 40 + b"]" * 40 + b"}", "deeper"),
        (b"[" * 500_000, "deeper"),
        (b'{"a":' * 100_000, "deeper"),
        (b" " * ((1 << 20) + 1), "1 MiB"),
    ],
)
def test_hostile_bytes_are_refused(post: Post, raw: bytes, says: str) -> None:
    post.write(raw=raw)
    assert post.inbox.drain("worker", 2) == []
    assert says in post.reasons[0]


def test_texts_come_out_inert_and_bounded(post: Post) -> None:
    post.write(message="\x1b]0;evil\x07\u202e" + "x" * 20_000, metadata={"k\x00": ["\ud800"]})
    (letter,) = post.inbox.drain("worker", 2)
    assert not set("\x1b\x07\u202e") & set(letter.fields["message"])
    assert len(letter.fields["message"]) <= 8_000
    json.dumps(letter.fields, ensure_ascii=False).encode()


def test_links_pipes_sockets_and_folders_go_to_bad_unread(
    post: Post, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = post.folder / "new"
    secret = tmp_path / "secret"
    secret.write_text("{}")
    (new / "link").symlink_to(secret)
    os.mkfifo(new / "fifo")
    (new / "folder" / "inner").mkdir(parents=True)
    # Bound by its short name: the path of a test's folder may be longer than a socket's may be.
    monkeypatch.chdir(new)
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind("plug")
        assert post.inbox.drain("worker", 2) == []
    assert len(post.reasons) == 4
    assert list(new.iterdir()) == []
    assert secret.read_text() == "{}"
    assert (post.folder / "bad" / "link").is_symlink()


def test_weird_names_are_tamed_in_bad_and_fine_when_good(post: Post) -> None:
    weird = os.fsdecode(b"x\n\xff;`id`") + "y" * 200
    post.write(weird, raw=b"no")
    post.write("-rf\n", message="fine")
    (letter,) = post.inbox.drain("worker", 2)
    assert letter.id.isascii()
    assert letter.id.isprintable()
    assert all(name.isascii() and name.isprintable() and len(name) < 120 for name in post.bad())


def test_bad_is_capped_by_number_and_size(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "MOST_LETTERS", 5)
    monkeypatch.setattr(quarantine, "MOST_BYTES", 10_000)
    for number in range(12):
        post.write(f"l{number:02d}", raw=b"x" * 10)
        post.inbox.drain("worker", 2)
    assert len([name for name in post.bad() if not name.endswith(".reason")]) == 5
    post.write("big", raw=b"x" * 20_000)
    post.inbox.drain("worker", 2)
    assert sum((post.folder / "bad" / name).stat().st_size for name in post.bad()) < 10_000


def test_what_is_too_much_for_bad_takes_nobodys_place(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "MOST_BYTES", 10_000)
    post.write("first", raw=b"no")
    post.inbox.drain("worker", 2)
    (post.folder / "new" / "folder").mkdir()
    post.inbox.drain("worker", 2)
    post.write("vast", raw=b"x" * 20_000)
    post.inbox.drain("worker", 2)
    post.write("last", raw=b"no")
    post.inbox.drain("worker", 2)
    assert {name for name in post.bad() if not name.endswith(".reason")} == {"first", "last"}


def test_paths_outside_the_workspace_are_dropped_and_told(post: Post, tmp_path: Path) -> None:
    (post.workspace / "out").symlink_to(tmp_path)
    inside = str(post.workspace / "src" / "a.py")
    post.write(
        kind="checkpoint", files=["b.py", inside, "../x", "/etc/passwd", "out/y", "a/../../z", "nul\u0000"]
    )
    (letter,) = post.inbox.drain("worker", 2)
    assert letter.fields["files"] == ["b.py", "src/a.py", "nul\ufffd"]
    assert "4 of files" in post.reasons[0]


def test_orders_are_read_from_the_desk_only(post: Post) -> None:
    post.order(args={"to": "codex"})
    (letter,) = post.inbox.orders()
    assert (letter.kind, letter.agent, letter.fields["agent"]) == ("order", OPERATOR, "worker")
    assert (letter.fields["order"], letter.fields["args"], letter.fields["id"]) == (
        "pause",
        {"to": "codex"},
        "o1",
    )
    post.inbox.ack(letter)
    assert list((post.desk / "new").iterdir()) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"expires": "2001-01-01T00:00:00Z"}, "expired"),
        ({"expires": None}, "expires"),
        ({"order": "explode"}, "order"),
        ({"agent": "../x"}, "agent"),
        ({"agent": None}, "agent"),
        ({"id": "a/b"}, "id"),
        ({"args": {"n": 1}}, "args"),
        ({"kind": "beat"}, "only orders"),
    ],
)
def test_bad_orders_are_refused(post: Post, change: dict[str, Any], says: str) -> None:
    post.order(**change)
    assert post.inbox.orders() == []
    assert says in post.reasons[0]


def test_who_waits_for_an_order_can_be_told_that_it_was_refused(post: Post) -> None:
    order = uuid.uuid4().hex
    expired = json.dumps({"kind": "order", "id": order}).encode()
    post.write(f"00000000000000000001-{order}.json", to=post.desk, raw=expired)
    post.write(f"00000000000000000002-{order}.json", raw=b"an agent's letter is no order")
    assert post.inbox.orders() == []
    assert post.inbox.drain("worker", 2) == []
    assert [one.order for one in post.heard if isinstance(one, LetterRefused)] == [order, ""]


def test_an_inbox_that_was_deleted_is_made_again(post: Post) -> None:
    for name in ("tmp", "new", "bad"):
        (post.folder / name).rmdir()
    assert post.inbox.drain("worker", 2) == []
    post.write()
    assert len(post.inbox.drain("worker", 2)) == 1


def test_an_inbox_replaced_by_a_link_is_told_once_and_not_followed(post: Post, tmp_path: Path) -> None:
    (post.folder / "new").rmdir()
    (post.folder / "new").symlink_to(tmp_path)
    (tmp_path / "state.json").write_text("{}")
    assert post.inbox.drain("worker", 2) == []
    assert post.inbox.drain("worker", 2) == []
    assert len(post.reasons) == 1
    assert (tmp_path / "state.json").exists()


def woken(watch: InboxWatch, deadline: float = 10.0) -> set[str]:
    """The agents of the next notice."""
    import select

    over = time.monotonic() + deadline
    while time.monotonic() < over:
        if select.select([watch.fileno()], [], [], 0.5)[0] and (agents := watch.read()):
            return agents
    return set()


@pytest.mark.parametrize("polling", [False, True])
def test_the_watch_names_who_has_mail(post: Post, polling: bool) -> None:
    with InboxWatch(every=0.01, polling=polling) as post.watch:
        post.open()
        if polling:
            assert woken(post.watch) == {"worker", OPERATOR}
        post.write()
        assert woken(post.watch) == {"worker"}
        post.order()
        assert woken(post.watch) == {OPERATOR}
        assert post.watch.read() == set()


def test_the_watch_follows_an_inbox_that_is_made_again(post: Post) -> None:
    with InboxWatch() as post.watch:
        post.open()
        (post.folder / "new").rmdir()
        assert woken(post.watch) == {"worker"}
        post.inbox.drain("worker", 2)
        post.write()
        assert woken(post.watch) == {"worker"}
