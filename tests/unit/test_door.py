"""Who is let in by the web server: the right address, from this very machine's own pages, and nobody else."""

from __future__ import annotations

import pytest

from hhmrs.tui.commands.parsing import parse
from hhmrs.tui.commands.refusal import Refusal
from hhmrs.tui.serving.door import Door, is_loopback

NEAR = ["127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000", "127.9.9.9"]
FAR = [
    "evil.example",
    "127.0.0.1.evil.example:8000",
    "192.168.1.5:8000",
    "localhost.evil.example",
    "0x7f000001",
    "user@127.0.0.1",
    "127.0.0.1/x",
    "127.0.0.1:port",
    "[::1",
    "localhost.",
    "",
    "a b",
]


@pytest.mark.parametrize("host", NEAR)
def test_the_loopback_may_be_called_by_its_names(host: str) -> None:
    assert Door().why_not({"Host": host}) is None


@pytest.mark.parametrize("host", FAR)
def test_a_name_that_is_not_ours_is_refused_in_words(host: str) -> None:
    refused = Door().why_not({"Host": host})
    assert refused is not None
    assert "a name that is not its own" in refused


def test_no_host_at_all_is_refused() -> None:
    assert Door().why_not({}) is not None


def test_who_listens_to_all_may_be_called_by_any_address_and_by_its_name() -> None:
    wide = Door(names=frozenset({"box"}), open_wide=True)
    for host in ("192.168.1.5:8000", "box:8000", "[fe80::1]:8000", "127.0.0.1"):
        assert wide.why_not({"Host": host}) is None
    assert wide.why_not({"Host": "evil.example"}) is not None


@pytest.mark.parametrize(
    "origin",
    [
        "http://127.0.0.1:3000",
        "http://evil.example",
        "null",
        "file://",
        "http://localhost:8000",
        "http://[",
        "",
    ],
)
def test_a_page_of_another_origin_is_refused(origin: str) -> None:
    refused = Door().why_not({"Host": "127.0.0.1:8000", "Origin": origin})
    assert refused is not None
    assert "another site" in refused
    assert origin.startswith("http://evil") is ("evil" in refused)


@pytest.mark.parametrize("host", NEAR)
def test_our_own_pages_may_ask(host: str) -> None:
    assert Door().why_not({"Host": host, "Origin": f"http://{host.lower()}"}) is None


def test_what_a_stranger_says_is_shown_inert() -> None:
    refused = Door().why_not({"Host": "\x1b[2Jevil\r\n<script>" + "x" * 5000})
    assert refused is not None
    assert "\x1b" not in refused
    assert len(refused) < 400


def test_only_the_whole_secret_is_known() -> None:
    door = Door()
    assert door.knows_token(door.token)
    assert door.knows_key(door.key)
    for wrong in ("", door.token[:-1], door.token + "x", door.key, door.room, "\udcff", "é"):
        assert not door.knows_token(wrong)
    assert not door.knows_key(door.token)


def test_each_start_has_secrets_of_its_own() -> None:
    doors = [Door() for _ in range(50)]
    made = {secret for door in doors for secret in (door.room, door.token, door.key)}
    assert len(made) == 150
    assert all(len(door.token) >= 43 and len(door.key) >= 43 and len(door.room) >= 12 for door in doors)


def test_which_addresses_only_this_machine_reaches() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.1.2.3", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.0.2", "example.org", "")))


@pytest.mark.parametrize(
    "words", [["--port", "70000"], ["--port", "-1"], ["--pages", "0"], ["--pages", "101"]]
)
def test_impossible_numbers_are_refused(words: list[str]) -> None:
    with pytest.raises(Refusal):
        parse(["serve", *words])
