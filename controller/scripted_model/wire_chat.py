"""OpenAI chat completions: what aider, opencode, qwen and copilot speak."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator

from .conversation import (
    Call,
    Called,
    Conversation,
    Frame,
    Json,
    Returned,
    Said,
    Say,
    as_object,
    as_objects,
    as_text,
    parsed,
    tools_from,
    words,
)


def read(body: Json) -> Conversation:
    entries: list[Said | Called | Returned] = []
    for message in as_objects(body.get("messages")):
        role, text = str(message.get("role")), as_text(message.get("content"))
        if role == "tool":
            entries.append(Returned(str(message.get("tool_call_id")), text))
            continue
        if text:
            known = role if role in {"user", "assistant"} else "system"
            entries.append(Said(known, text))
        for call in as_objects(message.get("tool_calls")):
            function = as_object(call.get("function"))
            name, arguments = str(function.get("name")), parsed(function.get("arguments"))
            entries.append(Called(str(call.get("id")), name, arguments))
    form = as_object(as_object(body.get("response_format")).get("json_schema")).get("schema")
    return Conversation(
        tuple(entries),
        tools_from((as_object(tool.get("function")) for tool in as_objects(body.get("tools"))), "parameters"),
        str(body.get("model", "scripted")),
        body.get("stream") is True,
        form if isinstance(form, dict) else None,
    )


def _usage(reply: Say | Call, asked: Conversation) -> Json:
    sent, got = asked.size, _size(reply)
    return {"prompt_tokens": sent, "completion_tokens": got, "total_tokens": sent + got}


def _size(reply: Say | Call) -> int:
    return len(reply.text if isinstance(reply, Say) else json.dumps(reply.arguments)) // 4 + 1


def _call(call: Call) -> Json:
    function = {"name": call.tool.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)}
    return {"id": f"call_{uuid.uuid4().hex[:24]}", "type": "function", "function": function}


def whole(reply: Say | Call, asked: Conversation) -> Json:
    if isinstance(reply, Say):
        message: Json = {"role": "assistant", "content": reply.text}
    else:
        message = {"role": "assistant", "content": None, "tool_calls": [_call(reply)]}
    end = "stop" if isinstance(reply, Say) else "tool_calls"
    choice = {"index": 0, "message": message, "finish_reason": end, "logprobs": None}
    head = _head(asked, "chat.completion")
    return {**head, "choices": [choice], "usage": _usage(reply, asked)}


def _head(asked: Conversation, kind: str) -> Json:
    now = int(time.time())
    return {"id": f"chatcmpl-{uuid.uuid4().hex[:24]}", "object": kind, "created": now, "model": asked.model}


def frames(reply: Say | Call, asked: Conversation) -> Iterator[Frame]:
    """Server-sent events; usage comes with the last, whether it was asked for or not."""
    head = _head(asked, "chat.completion.chunk")

    def event(delta: Json, end: str | None = None, pause: float = 0.0) -> Frame:
        chunk = {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": end}]}
        return Frame(f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n", pause)

    yield event({"role": "assistant", "content": ""})
    if isinstance(reply, Say):
        for word in words(reply.text):
            yield event({"content": word}, pause=reply.pause)
    else:
        yield event({"tool_calls": [{"index": 0, **_call(reply)}]})
    yield event({}, "stop" if isinstance(reply, Say) else "tool_calls")
    last = {**head, "choices": [], "usage": _usage(reply, asked)}
    yield Frame(f"data: {json.dumps(last)}\n\n")
    yield Frame("data: [DONE]\n\n")
