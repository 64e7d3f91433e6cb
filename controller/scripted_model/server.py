"""The scripted model over HTTP, on 127.0.0.1 only."""

from __future__ import annotations

import json
import re
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self
from urllib.parse import unquote

from . import refusals, wire_anthropic, wire_chat, wire_gemini, wire_responses
from .conversation import Call, Conversation, Frame, Hang, Json, Refuse, Reply, Say
from .requests import Requests
from .script import next_step, script_line

HOST = "127.0.0.1"
LARGEST_BODY = 32 * 1024 * 1024
SLOWEST_BODY = 30.0
LOOK_EVERY = 0.1
"""Seconds between two looks whether the caller has hung up or the server is to end."""
MOST_AT_ONCE = 200
_GEMINI = re.compile(
    r"/v1(?:beta|alpha)?/models/([^/:]{1,100}):(streamGenerateContent|generateContent|countTokens)"
)


class Wire(NamedTuple):
    """One provider's format."""

    read: Callable[[Json], Conversation]
    whole: Callable[[Any, Conversation], Json]
    frames: Callable[[Any, Conversation], Iterator[Frame]]
    refuse: Callable[[Refuse, float], refusals.Refusal]
    told_in_stream: frozenset[str] = frozenset()


WIRES = {
    "/chat/completions": Wire(wire_chat.read, wire_chat.whole, wire_chat.frames, refusals.openai),
    "/responses": Wire(
        wire_responses.read,
        wire_responses.whole,
        wire_responses.frames,
        refusals.openai,
        wire_responses.IN_STREAM,
    ),
    "/messages": Wire(wire_anthropic.read, wire_anthropic.whole, wire_anthropic.frames, refusals.anthropic),
}


class ScriptedModel:
    """`with ScriptedModel() as model:` listens on a free port, or the one given, until the block ends."""

    def __init__(self, port: int = 0) -> None:
        """Raises OSError when the port is taken."""
        self.requests = Requests()
        self.ending = threading.Event()
        self._met: dict[str, float] = {}
        self._met_lock = threading.Lock()
        self._seats = threading.BoundedSemaphore(MOST_AT_ONCE)
        self._http = _Http(self, port)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(LOOK_EVERY,), daemon=True)

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def address(self) -> str:
        """`http://127.0.0.1:PORT`; OpenAI's clients want /v1 after it."""
        return f"http://{HOST}:{self.port}"

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        """End every open answer, then listen no more."""
        self.ending.set()
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
        self._http.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def first_met(self, line: str) -> float:
        """When this line of script was first met; kept for as long as the server runs."""
        with self._met_lock:
            if len(self._met) < MOST_AT_ONCE:
                self._met.setdefault(line, time.time())
            return self._met.get(line, time.time())

    def seat(self) -> bool:
        """Take a place for one more answer; False when there are too many at once."""
        return self._seats.acquire(blocking=False)

    def leave(self) -> None:
        self._seats.release()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, model: ScriptedModel, port: int) -> None:
        self.model = model
        super().__init__((HOST, port), _Answering)

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that hung up in the middle is no news."""


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "scripted-model"
    timeout = SLOWEST_BODY

    @property
    def model(self) -> ScriptedModel:
        assert isinstance(self.server, _Http)
        return self.server.model

    @property
    def route(self) -> str:
        return self.path.partition("?")[0]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is the base class's
        """Nothing: what was asked stands in `requests`."""

    def do_GET(self) -> None:
        path = self.route
        if path == "/_requests":
            self._json(200, {"requests": self.model.requests.as_json()})
        elif path in {"/v1/models", "/models"}:
            one = {"id": "scripted", "object": "model", "created": 0, "owned_by": "scripted"}
            self._json(200, {"object": "list", "data": [one], "has_more": False})
        elif path.startswith("/v1beta/models"):
            self._json(200, {"models": [{"name": "models/scripted", "displayName": "Scripted"}]})
        else:
            self._json(404, _fault("there is nothing here; see GET /v1/models"))

    def do_POST(self) -> None:
        body = self._body()
        if body is None:
            return
        if not self.model.seat():
            self._json(503, _fault(f"more than {MOST_AT_ONCE} answers at once"))
            return
        try:
            self._answer(unquote(self.route), body)
        finally:
            self.model.leave()

    def _answer(self, path: str, body: Json) -> None:
        if found := _GEMINI.fullmatch(path):
            model, verb = found.groups()
            asked = wire_gemini.read(body, model, stream=verb == "streamGenerateContent")
            if verb == "countTokens":
                self._json(200, {"totalTokens": asked.size})
            else:
                gemini = Wire(wire_chat.read, wire_gemini.whole, wire_gemini.frames, refusals.gemini)
                self._reply(gemini, asked)
            return
        if path.endswith("/messages/count_tokens"):
            self._json(200, {"input_tokens": wire_anthropic.read(body).size})
            return
        wire = WIRES.get(path.removeprefix("/v1"))
        if wire is None:
            self._bad(404, "no such interface here")
            return
        self._reply(wire, wire.read(body))

    def _reply(self, wire: Wire, asked: Conversation) -> None:
        model = self.model
        now = time.time()
        reply = next_step(asked, now, model.first_met)
        status = wire.refuse(reply, now).status if isinstance(reply, Refuse) else 200
        model.requests.add(self.route, asked.users, _in_short(reply, asked), status)
        if isinstance(reply, Hang):
            self._rest(None)
            self.close_connection = True
        elif isinstance(reply, Refuse) and not (asked.stream and reply.word in wire.told_in_stream):
            refusal = wire.refuse(reply, now)
            self._json(refusal.status, refusal.body, refusal.headers)
        elif isinstance(reply, Call) and reply.delay and not self._rest(reply.delay):
            self.close_connection = True
        elif asked.stream:
            self._stream(wire.frames(reply, asked))
        else:
            lasting = isinstance(reply, Say) and reply.pause * len(reply.text.split())
            if not lasting or self._rest(lasting):
                self._json(200, wire.whole(reply, asked))

    def _stream(self, frames: Iterator[Frame]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for frame in frames:
            piece = frame.text.encode("utf-8", "replace")
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            if frame.pause and not self._rest(frame.pause):
                self.close_connection = True
                return
        self.wfile.write(b"0\r\n\r\n")

    def _rest(self, seconds: float | None) -> bool:
        """Wait, without end for None; False when the caller hung up or the server ends."""
        ends = None if seconds is None else time.monotonic() + seconds
        while ends is None or time.monotonic() < ends:
            if self.model.ending.is_set():
                return False
            left = LOOK_EVERY if ends is None else max(0.0, min(LOOK_EVERY, ends - time.monotonic()))
            readable, _, _ = select.select([self.connection], [], [], left)
            if readable:
                try:
                    if not self.connection.recv(1, socket.MSG_PEEK):
                        return False
                except OSError:
                    return False
                self.model.ending.wait(left)  # it sends the next request early: that one waits
        return True

    def _body(self) -> Json | None:
        """The object that was sent; None when it was refused, and said so."""
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch(r"\d{1,12}", length):
            self._bad(411, "a body of known length is wanted")
            return None
        if int(length) > LARGEST_BODY:
            self._bad(413, f"the body is larger than {LARGEST_BODY} bytes")
            return None
        try:
            raw = self.rfile.read(int(length))
            value = json.loads(raw)
        except (ValueError, RecursionError):
            self._bad(400, "the body is no JSON")
            return None
        except OSError:
            self.close_connection = True
            return None
        if not isinstance(value, dict):
            self._bad(400, "the body is no JSON object")
            return None
        return value

    def _bad(self, status: int, why: str) -> None:
        self.close_connection = True
        self.model.requests.add(self.route[:200], (), why, status)
        self._json(status, _fault(why))

    def _json(self, status: int, body: Json, headers: dict[str, str] | None = None) -> None:
        raw = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(raw)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(raw)


def _fault(why: str) -> Json:
    return {"error": {"message": why, "type": "invalid_request_error", "param": None, "code": None}}


def _in_short(reply: Reply, asked: Conversation) -> str:
    if isinstance(reply, Say):
        return f"text: {reply.text[:80]}"
    if isinstance(reply, Call):
        return f"tool {reply.tool.name}: {' '.join(script_line(asked))[:80]}"
    return "HANG" if isinstance(reply, Hang) else reply.word
