"""The scripted model over real HTTP: each wire format, streamed and whole; bad input; limits; its end."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

import pytest

from hhmrs.controller.scripted_model import server
from hhmrs.controller.scripted_model.server import ScriptedModel

TOOL_SCHEMA = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel() as running:
        yield running


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    raw: bytes


def send(model: ScriptedModel, path: str, body: Any, method: str = "POST") -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with closing(HTTPConnection("127.0.0.1", model.port, timeout=10)) as connection:
        connection.request(method, path, raw, {"Content-Type": "application/json"})
        with connection.getresponse() as answer:
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, headers, answer.read())


def events(answer: Answer) -> list[dict[str, Any]]:
    """The `data:` of a stream of server-sent events, [DONE] left out."""
    assert answer.headers["content-type"].startswith("text/event-stream")
    blocks = answer.raw.decode().replace("\r\n", "\n").strip().split("\n\n")
    lines = [line for block in blocks for line in block.split("\n") if line.startswith("data: ")]
    return [json.loads(line[6:]) for line in lines if line != "data: [DONE]"]


class Chat:
    path = "/v1/chat/completions"

    @staticmethod
    def body(prompt: str, *, stream: bool) -> dict[str, Any]:
        tool = {"type": "function", "function": {"name": "bash", "parameters": TOOL_SCHEMA}}
        return {
            "model": "m",
            "stream": stream,
            "tools": [tool],
            "messages": [{"role": "user", "content": prompt}],
        }

    @staticmethod
    def text(answer: dict[str, Any]) -> str:
        return str(answer["choices"][0]["message"]["content"])

    @staticmethod
    def streamed(found: list[dict[str, Any]]) -> str:
        return "".join(each["choices"][0]["delta"].get("content", "") for each in found if each["choices"])

    @staticmethod
    def called(found: list[dict[str, Any]]) -> tuple[str, Any]:
        calls = [
            c for each in found if each["choices"] for c in each["choices"][0]["delta"].get("tool_calls", [])
        ]
        assert found[-2]["choices"][0]["finish_reason"] == "tool_calls"
        return calls[0]["function"]["name"], json.loads(calls[0]["function"]["arguments"])


class Responses:
    path = "/v1/responses"

    @staticmethod
    def body(prompt: str, *, stream: bool) -> dict[str, Any]:
        tool = {"type": "function", "name": "bash", "parameters": TOOL_SCHEMA}
        message = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": prompt}]}
        return {"model": "m", "stream": stream, "tools": [tool], "input": [message]}

    @staticmethod
    def text(answer: dict[str, Any]) -> str:
        return str(answer["output"][0]["content"][0]["text"])

    @staticmethod
    def streamed(found: list[dict[str, Any]]) -> str:
        assert [each["sequence_number"] for each in found] == list(range(len(found)))
        assert (found[0]["type"], found[-1]["type"]) == ("response.created", "response.completed")
        assert found[-1]["response"]["usage"]["total_tokens"] > 0
        return "".join(each["delta"] for each in found if each["type"] == "response.output_text.delta")

    @staticmethod
    def called(found: list[dict[str, Any]]) -> tuple[str, Any]:
        (item,) = [each["item"] for each in found if each["type"] == "response.output_item.done"]
        return item["name"], json.loads(item["arguments"])


class Anthropic:
    path = "/v1/messages?beta=true"

    @staticmethod
    def body(prompt: str, *, stream: bool) -> dict[str, Any]:
        tool = {"name": "bash", "input_schema": TOOL_SCHEMA}
        content = [{"type": "text", "text": prompt}]
        return {
            "model": "m",
            "stream": stream,
            "tools": [tool],
            "messages": [{"role": "user", "content": content}],
        }

    @staticmethod
    def text(answer: dict[str, Any]) -> str:
        assert answer["stop_reason"] == "end_turn"
        return str(answer["content"][0]["text"])

    @staticmethod
    def streamed(found: list[dict[str, Any]]) -> str:
        assert (found[0]["type"], found[-1]["type"]) == ("message_start", "message_stop")
        return "".join(each["delta"]["text"] for each in found if each["type"] == "content_block_delta")

    @staticmethod
    def called(found: list[dict[str, Any]]) -> tuple[str, Any]:
        (begun,) = [each for each in found if each["type"] == "content_block_start"]
        parts = [each["delta"]["partial_json"] for each in found if each["type"] == "content_block_delta"]
        assert [each["delta"]["stop_reason"] for each in found if each["type"] == "message_delta"] == [
            "tool_use"
        ]
        return begun["content_block"]["name"], json.loads("".join(parts))


class Gemini:
    path = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"

    @staticmethod
    def body(prompt: str, *, stream: bool) -> dict[str, Any]:
        tools = [{"functionDeclarations": [{"name": "bash", "parametersJsonSchema": TOOL_SCHEMA}]}]
        return {"contents": [{"role": "user", "parts": [{"text": prompt}]}], "tools": tools}

    @staticmethod
    def text(answer: dict[str, Any]) -> str:
        assert answer["candidates"][0]["finishReason"] == "STOP"
        return str(answer["candidates"][0]["content"]["parts"][0]["text"])

    @staticmethod
    def streamed(found: list[dict[str, Any]]) -> str:
        assert [each["candidates"][0].get("finishReason") for each in found][-1] == "STOP"
        return "".join(each["candidates"][0]["content"]["parts"][0]["text"] for each in found)

    @staticmethod
    def called(found: list[dict[str, Any]]) -> tuple[str, Any]:
        call = found[0]["candidates"][0]["content"]["parts"][0]["functionCall"]
        return call["name"], call["args"]


Form = type[Chat] | type[Responses] | type[Anthropic] | type[Gemini]
FORMS: list[Form] = [Chat, Responses, Anthropic, Gemini]


@pytest.mark.parametrize("form", FORMS)
def test_a_text_comes_the_same_streamed_and_whole(model: ScriptedModel, form: Form) -> None:
    prompt = "two lines, grüße 世界\nof a prompt"
    whole = send(model, form.path.replace("streamG", "g"), form.body(prompt, stream=False))
    streamed = send(model, form.path, form.body(prompt, stream=True))

    assert whole.status == streamed.status == 200
    assert form.text(json.loads(whole.raw)) == "Understood: two lines, grüße 世界 of a prompt"
    assert form.streamed(events(streamed)) == "Understood: two lines, grüße 世界 of a prompt"
    assert [asked.users for asked in model.requests.all()] == [(prompt,), (prompt,)]


@pytest.mark.parametrize("form", FORMS)
def test_a_tool_call_is_streamed(model: ScriptedModel, form: Form) -> None:
    found = events(send(model, form.path, form.body('SH echo "grüße"', stream=True)))

    assert form.called(found) == ("bash", {"command": 'echo "grüße"'})


CALLS = [
    (
        Chat.path,
        {
            "messages": [
                {"role": "user", "content": "SH ls"},
                {
                    "role": "assistant",
                    "tool_calls": [
                        {"id": "1", "function": {"name": "bash", "arguments": '{"command": "ls"}'}}
                    ],
                },
                {"role": "tool", "tool_call_id": "1", "content": "a.txt"},
            ]
        },
    ),
    (
        Responses.path,
        {
            "input": [
                {"role": "user", "content": "SH ls"},
                {"type": "function_call", "call_id": "1", "name": "bash", "arguments": '{"command": "ls"}'},
                {"type": "function_call_output", "call_id": "1", "output": "a.txt"},
            ]
        },
    ),
    (
        Anthropic.path,
        {
            "messages": [
                {"role": "user", "content": "SH ls"},
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "1", "name": "bash", "input": {}}],
                },
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": "1", "content": "a.txt"}],
                },
            ]
        },
    ),
    (
        Gemini.path.replace("streamG", "g"),
        {
            "contents": [
                {"role": "user", "parts": [{"text": "SH ls"}]},
                {"role": "model", "parts": [{"functionCall": {"name": "bash", "args": {}}}]},
                {
                    "role": "user",
                    "parts": [{"functionResponse": {"name": "bash", "response": {"output": "a.txt"}}}],
                },
            ]
        },
    ),
]


@pytest.mark.parametrize(("path", "body"), CALLS, ids=["chat", "responses", "anthropic", "gemini"])
def test_the_result_of_a_tool_ends_the_turn(model: ScriptedModel, path: str, body: dict[str, Any]) -> None:
    answer = send(model, path, body).raw.decode()

    assert "Done: SH ls. The tool said: a.txt" in answer


ERRORS = [
    (Chat, "E401", 401, "invalid_api_key"),
    (Chat, "E429", 429, "rate_limit_exceeded"),
    (Chat, "EQUOTA", 429, "insufficient_quota"),
    (Chat, "ECTX", 400, "context_length_exceeded"),
    (Responses, "EUSAGE 30", 429, "usage_limit_reached"),
    (Responses, "E500", 500, "server_error"),
    (Anthropic, "E529", 529, "overloaded_error"),
    (Anthropic, "E401", 401, "authentication_error"),
    (Anthropic, "ECTX", 400, "prompt is too long"),
    (Gemini, "E401", 401, "UNAUTHENTICATED"),
    (Gemini, "E503", 503, "UNAVAILABLE"),
    (Gemini, "EQUOTA", 429, "RESOURCE_EXHAUSTED"),
]


@pytest.mark.parametrize(("form", "word", "status", "said"), ERRORS)
def test_errors_are_worded_as_each_provider_words_them(
    model: ScriptedModel, form: Form, word: str, status: int, said: str
) -> None:
    answer = send(model, form.path, form.body(word, stream=True))
    body = json.loads(answer.raw)

    assert answer.status == status
    assert said in json.dumps(body["error"])
    assert ("retry-after" in answer.headers) == (word in {"E429", "EUSAGE 30"})
    assert model.requests.all()[-1].status == status


def test_a_usage_limit_says_when_it_ends_and_then_is_over(model: ScriptedModel) -> None:
    body = Responses.body("EUSAGE 1", stream=True)
    error = json.loads(send(model, Responses.path, body).raw)["error"]
    ends = time.monotonic() + 5
    while (answer := send(model, Responses.path, body)).status == 429 and time.monotonic() < ends:
        pass

    assert abs(error["resets_at"] - time.time()) < 10
    assert Responses.streamed(events(answer)) == "The limit is over; I can go on."


@pytest.mark.parametrize(
    ("word", "code"), [("EQUOTA", "insufficient_quota"), ("ECTX", "context_length_exceeded")]
)
def test_codex_is_told_of_these_within_the_stream(model: ScriptedModel, word: str, code: str) -> None:
    found = events(send(model, Responses.path, Responses.body(word, stream=True)))

    assert found[-1]["type"] == "response.failed"
    assert found[-1]["response"]["error"]["code"] == code


def test_a_hanging_answer_is_silent_until_the_caller_hangs_up(model: ScriptedModel) -> None:
    raw = json.dumps(Chat.body("HANG", stream=True)).encode()
    with socket.create_connection(("127.0.0.1", model.port)) as caller:
        caller.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(raw) + raw)
        assert model.requests.wait_for(lambda asked: asked.answer == "HANG", 5) is not None
        assert select.select([caller], [], [], 0.5)[0] == []
        assert _answering() == 1
    assert _until(lambda: _answering() == 0)


def _answering() -> int:
    return sum("process_request_thread" in thread.name for thread in threading.enumerate())


def _until(holds: Any, within: float = 5.0) -> bool:
    ends = time.monotonic() + within
    while not holds() and time.monotonic() < ends:
        time.sleep(0.02)
    return bool(holds())


def test_the_end_of_the_server_ends_what_hangs() -> None:
    model = ScriptedModel().start()
    raw = json.dumps(Chat.body("HANG", stream=True)).encode()
    with socket.create_connection(("127.0.0.1", model.port), timeout=5) as caller:
        caller.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(raw) + raw)
        assert model.requests.wait_for(lambda asked: asked.answer == "HANG", 5) is not None
        model.stop()
        assert caller.recv(1) == b""
    with pytest.raises(ConnectionError):
        send(model, Chat.path, {})


def test_slow_is_a_word_a_second(model: ScriptedModel) -> None:
    began = time.monotonic()
    found = events(send(model, Chat.path, Chat.body("SLOW 2", stream=True)))

    assert Chat.streamed(found) == "word1 word2 done."
    assert 2.0 <= time.monotonic() - began < 9.0


BAD = [
    (b"", 400),
    (b"{", 400),
    (b"[]", 400),
    (b"[" * 100_000, 400),
    (b"\xff\xfe", 400),
    (b'{"messages": 5, "tools": {"a": 1}, "stream": "yes"}', 200),
    (
        b'{"messages": [1, null, {"role": 7, "content": {"text": 1}}, {"tool_calls": [{}]}], "tools": [3]}',
        200,
    ),
    (b'{"input": [{"type": []}, {"type": "function_call"}], "messages": [{"content": [[]]}]}', 200),
    (b'{"contents": [{"parts": [{"functionCall": 3, "functionResponse": {"response": []}}]}]}', 200),
    (b'{"messages": [{"role": "user", "content": "\\ud800"}]}', 200),
    (b'{"model": {"x": 1}, "system": 3, "response_format": [], "text": 1, "generationConfig": 2}', 200),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("raw", "status"), BAD)
def test_bad_input_is_answered(
    model: ScriptedModel, form: Form, raw: bytes, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = send(model, form.path, raw)

    assert answer.status == status
    assert answer.raw
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Content-Length: 99999999999", b"413"),
        (b"Content-Length: -5", b"411"),
        (b"Transfer-Encoding: chunked", b"411"),
        (b"Content-Length: 2x", b"411"),
    ],
)
def test_bodies_are_bounded(model: ScriptedModel, head: bytes, status: bytes) -> None:
    with socket.create_connection(("127.0.0.1", model.port), timeout=5) as caller:
        caller.sendall(b"POST /v1/responses HTTP/1.1\r\n" + head + b"\r\n\r\n")
        assert caller.recv(100).split()[1] == status


def test_there_are_only_so_many_answers_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MOST_AT_ONCE", 1)
    with ScriptedModel() as model:
        raw = json.dumps(Chat.body("HANG", stream=True)).encode()
        with socket.create_connection(("127.0.0.1", model.port)) as caller:
            head = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(raw)
            caller.sendall(head + raw)
            assert model.requests.wait_for(lambda asked: asked.answer == "HANG", 5) is not None
            assert send(model, Chat.path, Chat.body("hello", stream=False)).status == 503
        assert _until(lambda: send(model, Chat.path, Chat.body("hello", stream=False)).status == 200)


def test_models_and_requests_are_listed(model: ScriptedModel) -> None:
    send(model, Chat.path, Chat.body("hello", stream=False))
    models = json.loads(send(model, "/v1/models", b"", "GET").raw)
    asked = json.loads(send(model, "/_requests", b"", "GET").raw)["requests"]

    assert models["data"][0]["id"] == "scripted"
    assert [(each["path"], each["users"], each["answer"]) for each in asked] == [
        ("/v1/chat/completions", ["hello"], "text: Understood: hello")
    ]
    assert send(model, "/nothing", b"", "GET").status == 404
    assert send(model, "/v1/nothing", {}).status == 404


def test_it_runs_alone_and_ends_when_told() -> None:
    words = [sys.executable, "-m", "hhmrs.controller.scripted_model"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as alone:
        assert alone.stdout is not None
        port = int(alone.stdout.readline())
        taken = subprocess.run([*words, "--port", str(port)], capture_output=True, text=True, check=False)
        with closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("GET", "/v1/models")
            assert connection.getresponse().status == 200
        os.kill(alone.pid, signal.SIGTERM)
        assert alone.wait(10) == 0
        assert alone.stderr is not None
        assert alone.stderr.read() == ""
    assert taken.returncode == 2
    assert taken.stderr.startswith(f"cannot listen on port {port}: ")
