"""The screen in a browser: nothing without the token, one process a page, and none left behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psutil
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, CookieJar, WSMsgType, WSServerHandshakeError

from hhmrs.tui.serving.door import COOKIE

from .home import PATIENCE, Home

if TYPE_CHECKING:
    from playwright.sync_api import Page

PAGE = "hhmrs.tui.serving.page"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
KEEP_TERMINAL = """
Object.defineProperty(Object.prototype, "fitAddon", {configurable: true, set(value) {
    Object.defineProperty(this, "fitAddon", {value, writable: true, configurable: true});
    window.__page = this;
}});
"""
"""The page keeps its terminal to itself; a test wants to read what stands in it."""
READ_TERMINAL = """() => {
    const buffer = window.__page && window.__page.terminal.buffer.active;
    const lines = [];
    for (let i = 0; buffer && i < buffer.length; i++) lines.push(buffer.getLine(i).translateToString(true));
    return lines.join("\\n");
}"""


@dataclass
class Served:
    """A server of ours that runs. `base`: its address without the token."""

    home: Home
    process: subprocess.Popen[str]
    url: str

    @property
    def base(self) -> str:
        return self.url.partition("?")[0]

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def origin(self) -> str:
        return f"http://{self.host}"

    def pages(self) -> list[psutil.Process]:
        """The processes of pages that run."""
        return [one for one in psutil.Process(self.process.pid).children(recursive=True) if is_page(one)]

    def until(self, holds: Callable[[], Any], what: str) -> None:
        self.home.until(lambda: bool(holds()), what)


def is_page(process: psutil.Process) -> bool:
    try:
        return PAGE in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def serving(home: Home, *words: str) -> Generator[Served]:
    process = home.start("serve", "--json", *words)
    assert process.stdout is not None
    said = ""
    while not said.rstrip().endswith("}"):
        line = process.stdout.readline()
        assert line, process.stderr and process.stderr.read()
        said += line
    try:
        yield Served(home, process, json.loads(said)["url"])
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert "Traceback" not in err, err


@pytest.fixture
def served(running: Home) -> Iterator[Served]:
    with serving(running) as one:
        yield one


@contextmanager
def jar() -> Generator[CookieJar]:
    yield CookieJar(unsafe=True)  # also for addresses, as a browser keeps them


async def text_of(socket: ClientWebSocketResponse, wanted: str) -> str:
    """What the page is sent until `wanted` stands in it."""
    got = ""
    deadline = time.monotonic() + PATIENCE
    while wanted not in got:
        message = await socket.receive(timeout=max(0.1, deadline - time.monotonic()))
        assert message.type in (WSMsgType.BINARY, WSMsgType.TEXT), (message, got[-2000:])
        if message.type is WSMsgType.BINARY:
            got += message.data.decode(errors="replace")
    return got


async def test_without_the_token_nothing_is_shown_and_it_is_said_why(served: Served) -> None:
    paths = ["", "ws", "static/js/textual.js", "static/", "download/x", "nothing", "?token=", "?token=wrong"]
    async with ClientSession() as anybody:
        for path in [*(served.base + path for path in paths), served.origin + "/", served.origin + "/ws"]:
            async with anybody.get(path) as answer:
                assert answer.status == 403, path
                assert "hhmrs serve" in await answer.text()
                assert answer.headers["Content-Type"].startswith("text/plain")
        with pytest.raises(WSServerHandshakeError) as refused:
            await anybody.ws_connect(served.base + "ws", origin=served.origin)
        assert refused.value.status == 403
        async with anybody.get(served.base, cookies={COOKIE: "wrong"}) as answer:
            assert answer.status == 403
    assert served.pages() == []


async def test_the_token_opens_and_goes_out_of_the_address(served: Served) -> None:
    with jar() as cookies:
        async with ClientSession(cookie_jar=cookies) as person:
            async with person.get(served.url, allow_redirects=False) as answer:
                assert answer.status == 303
                assert answer.headers["Location"] == urlsplit(served.base).path
                cookie = answer.headers["Set-Cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=Strict" in cookie
            assert f"Path={urlsplit(served.base).path}" in cookie
            assert "token" not in cookie
            async with person.get(served.base) as answer:
                assert answer.status == 200
                page = await answer.text()
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
                assert answer.headers["Cache-Control"] == "no-store"
                assert answer.headers["X-Frame-Options"] == "DENY"
            assert urlsplit(served.url).query not in page
            for path in re.findall(r'(?:src|href)="(/[^"]+)"', page):
                async with person.get(served.origin + path) as answer:
                    assert answer.status == 200, path
            async with person.get(served.base + "static/") as answer:
                assert answer.status == 403, "no listing of what there is"
            async with person.post(served.base) as answer:
                assert answer.status == 405


async def test_other_sites_are_kept_out_even_with_the_cookie(served: Served) -> None:
    with jar() as cookies:
        async with ClientSession(cookie_jar=cookies) as person:
            await person.get(served.url)
            async with person.get(served.base, headers={"Host": "evil.example"}) as answer:
                assert answer.status == 403
                assert "evil.example" in await answer.text()
            for origin in ("http://evil.example", "http://127.0.0.1:1", None):
                with pytest.raises(WSServerHandshakeError) as refused:
                    await person.ws_connect(served.base + "ws", origin=origin)
                assert refused.value.status == 403
    assert served.pages() == []


async def test_a_page_is_one_process_and_closing_it_ends_that(served: Served) -> None:
    with jar() as cookies:
        async with ClientSession(cookie_jar=cookies) as person:
            await person.get(served.url)
            async with person.ws_connect(
                served.base + "ws?width=100&height=30", origin=served.origin
            ) as page:
                await text_of(page, "idle")
                (one,) = served.pages()
                assert "--config" in one.cmdline()
                assert not any(urlsplit(served.url).query in word for word in one.cmdline())
    served.until(lambda: not served.pages(), "the process of the closed page ends")
    assert served.home.json("status")["daemon"] is not None


async def test_what_no_page_of_ours_says_is_passed_over(served: Served) -> None:
    odd: list[Any] = [None, 7, [], ["stdin"], ["stdin", 5], ["resize", {"width": "x"}], ["quit"], {"a": 1}]
    with jar() as cookies:
        async with ClientSession(cookie_jar=cookies) as person:
            await person.get(served.url)
            async with person.ws_connect(served.base + "ws?width=x&height=", origin=served.origin) as page:
                await page.send_str("no json {")
                await page.send_bytes(b"\x00\xff")
                for one in odd:
                    await page.send_json(one)
                await text_of(page, "help")
                await page.send_json(["resize", {"width": 10**9, "height": -3}])
                await page.send_json(["resize", {"width": 100, "height": 30}])
                await text_of(page, "help")
                await page.send_json(["ping", "1"])
                while (message := await page.receive(timeout=PATIENCE)).type is not WSMsgType.TEXT:
                    pass
                assert message.json() == ["pong", "1"]


async def test_leaving_the_screen_closes_the_page(served: Served) -> None:
    with jar() as cookies:
        async with ClientSession(cookie_jar=cookies) as person:
            await person.get(served.url)
            async with person.ws_connect(served.base + "ws", origin=served.origin) as page:
                await text_of(page, "help")
                await page.send_json(["stdin", "q"])
                while not page.closed:
                    await page.receive(timeout=PATIENCE)
    served.until(lambda: not served.pages(), "its process ends")


async def test_more_pages_than_allowed_are_refused_in_words(running: Home) -> None:
    with serving(running, "--pages", "1") as served, jar() as cookies:
        async with ClientSession(cookie_jar=cookies) as person:
            await person.get(served.url)
            async with person.ws_connect(served.base + "ws", origin=served.origin) as page:
                await text_of(page, "help")
                async with person.get(served.base) as answer:
                    assert answer.status == 503
                    assert "1 pages are open" in await answer.text()
                with pytest.raises(WSServerHandshakeError) as refused:
                    await person.ws_connect(served.base + "ws", origin=served.origin)
                assert refused.value.status == 503
            deadline, status = time.monotonic() + PATIENCE, 503
            while status == 503:
                assert time.monotonic() < deadline, "a page that was closed makes room for another"
                async with person.get(served.base) as answer:
                    status = answer.status
            assert status == 200


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
async def test_no_page_outlives_the_server(running: Home, number: signal.Signals) -> None:
    with serving(running) as served, jar() as cookies:
        async with ClientSession(cookie_jar=cookies) as person:
            await person.get(served.url)
            async with person.ws_connect(served.base + "ws", origin=served.origin) as page:
                await text_of(page, "help")
                (one,) = served.pages()
                served.process.send_signal(number)
                served.until(lambda: not is_page(one), "the page's process ends with the server")
        expected = 0 if number is not signal.SIGKILL else -number
        assert served.process.wait(PATIENCE) == expected
    assert running.json("status")["daemon"] is not None, "agents and daemon run on"


async def test_a_page_without_a_daemon_starts_none(served: Served) -> None:
    assert served.home.run("down").returncode == 0
    with jar() as cookies:
        async with ClientSession(cookie_jar=cookies) as person:
            await person.get(served.url)
            async with person.ws_connect(
                served.base + "ws?width=120&height=30", origin=served.origin
            ) as page:
                await text_of(page, "hhmrs up")
    assert served.home.json("status")["daemon"] is None


def test_a_port_that_is_taken_is_said(running: Home) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = running.run("serve", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert "cannot listen on 127.0.0.1 port" in done.stderr
    assert "--port" in done.stderr


def test_listening_for_others_is_warned_of(running: Home) -> None:
    process = running.start("serve", "--listen", "0.0.0.0")
    assert process.stdout is not None
    first = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert "WARNING" in err
    assert "other machines" in err
    assert "http://127.0.0.1:" in first
    assert process.returncode == 0


def test_an_address_that_is_not_ours(running: Home) -> None:
    done = running.run("serve", "--listen", "203.0.113.7")
    assert done.returncode == 1
    assert "cannot listen on 203.0.113.7" in done.stderr


def test_where_the_extra_is_missing_it_says_how_to_get_it(home: Home, tmp_path: Path) -> None:
    (tmp_path / "aiohttp.py").write_text("raise ModuleNotFoundError('none here', name='aiohttp')\n")
    home.env["PYTHONPATH"] = os.pathsep.join([str(tmp_path), home.env.get("PYTHONPATH", "")]).rstrip(
        os.pathsep
    )
    done = home.run("serve")
    assert done.returncode == 2
    assert "pip install 'hhmrs-tui[serve]'" in done.stderr
    assert home.json("status")["daemon"] is None, "nothing was started for a server that cannot be"


# -- in a real browser --------------------------------------------------------------------------------
@pytest.fixture
def page(served: Served) -> Iterator[Page]:
    if CHROMIUM is None:
        pytest.skip("SKIPPED: no chromium here (apt-get install chromium): the page was tried in no browser")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        one = browser.new_page(viewport={"width": 1000, "height": 600})
        one.add_init_script(KEEP_TERMINAL)
        yield one
        browser.close()


def shown(page: Page) -> str:
    """The text in the page's terminal."""
    return str(page.evaluate(READ_TERMINAL))


def wait_for(page: Page, *words: str) -> str:
    deadline = time.monotonic() + PATIENCE
    while not all(word in (text := shown(page)) for word in words):
        assert time.monotonic() < deadline, f"{words} are not in\n{text}"
        page.wait_for_timeout(50)
    return text


def chosen(text: str) -> str:
    """The line of the list that has the cursor."""
    return next((line for line in text.splitlines() if line.startswith("▌")), "")


def test_in_chromium_the_fleet_is_there_and_a_key_moves_the_selection(served: Served, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(served.url)
    text = wait_for(page, "armed", "2 agents", "? help")
    assert page.url == served.base, "the token is out of the address"
    assert page.evaluate("document.cookie") == "", "no script reads the cookie"
    assert " a " in chosen(text)
    before = page.screenshot()
    page.keyboard.press("j")
    served.until(lambda: " b " in chosen(shown(page)), "the selection moves")
    page.wait_for_timeout(100)
    assert page.screenshot() != before, "it was painted"
    hosts = {urlsplit(url).netloc for url in asked if not url.startswith(("data:", "blob:"))}
    assert hosts == {served.host}, "nobody else is told of it"


def test_in_chromium_attaching_is_refused_in_words(served: Served, page: Page) -> None:
    page.goto(served.url)
    wait_for(page, "2 agents")
    page.keyboard.press("a")
    wait_for(page, "browser has no terminal")
    assert len(served.pages()) == 1


def test_in_chromium_a_wrong_token_shows_why(served: Served, page: Page) -> None:
    answer = page.goto(served.base + "?token=" + "x" * 43)
    assert answer is not None
    assert answer.status == 403
    assert "whole address that `hhmrs serve` printed" in page.inner_text("body")
    assert served.pages() == []


def test_in_chromium_closing_the_page_ends_its_process(served: Served, page: Page) -> None:
    page.goto(served.url)
    wait_for(page, "2 agents")
    assert len(served.pages()) == 1
    page.close()
    served.until(lambda: not served.pages(), "the process ends with its page")


def test_in_chromium_leaving_offers_to_come_back(served: Served, page: Page) -> None:
    page.goto(served.url)
    wait_for(page, "2 agents")
    page.keyboard.press("q")
    page.wait_for_selector("#closed", state="visible")
    page.click("#closed a")
    wait_for(page, "2 agents")
    assert len(served.pages()) == 1
