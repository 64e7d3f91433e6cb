"""Anthropic messages: what Claude Code speaks, and copilot and qwen when told to."""

from __future__ import annotations

import json
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
    tools_from,
    words,
)


def read(body: Json) -> Conversation:
    entries: list[Said | Called | Returned] = []
    if system := as_text(body.get("system")):
        entries.append(Said("system", system))
    for message in as_objects(body.get("messages")):
        role = "assistant" if message.get("role") == "assistant" else "user"
        content = message.get("content")
        for block in as_objects(content):
            if block.get("type") == "tool_use":
                name, given = str(block.get("name")), as_object(block.get("input"))
                entries.append(Called(str(block.get("id")), name, given))
            elif block.get("type") == "tool_result":
                entries.append(Returned(str(block.get("tool_use_id")), as_text(block.get("content"))))
        if text := as_text(content):
            entries.append(Said(role, text))
    return Conversation(
        tuple(entries),
        tools_from(as_objects(body.get("tools")), "input_schema"),
        str(body.get("model", "scripted")),
        body.get("stream") is True,
    )


def _block(reply: Say | Call) -> Json:
    if isinstance(reply, Say):
        return {"type": "text", "text": reply.text}
    call = f"toolu_{uuid.uuid4().hex[:24]}"
    return {"type": "tool_use", "id": call, "name": reply.tool.name, "input": reply.arguments}


def _message(reply: Say | Call, asked: Conversation) -> Json:
    block = _block(reply)
    return {
        "id": f"msg_{uuid.uuid4().hex[:24]}",
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": [block],
        "stop_reason": "end_turn" if isinstance(reply, Say) else "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": asked.size, "output_tokens": len(json.dumps(block)) // 4},
    }


whole = _message


def frames(reply: Say | Call, asked: Conversation) -> Iterator[Frame]:
    """Server-sent events, named."""

    def event(kind: str, pause: float = 0.0, **fields: object) -> Frame:
        told = json.dumps({"type": kind, **fields}, ensure_ascii=False)
        return Frame(f"event: {kind}\ndata: {told}\n\n", pause)

    message = _message(reply, asked)
    block = message["content"][0]
    used = message["usage"]
    fresh = {**message, "content": [], "stop_reason": None, "usage": {**used, "output_tokens": 1}}
    yield event("message_start", message=fresh)
    if isinstance(reply, Say):
        yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        for word in words(reply.text):
            yield event(
                "content_block_delta", reply.pause, index=0, delta={"type": "text_delta", "text": word}
            )
    else:
        yield event("content_block_start", index=0, content_block={**block, "input": {}})
        part = json.dumps(reply.arguments, ensure_ascii=False)
        yield event("content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": part})
    yield event("content_block_stop", index=0)
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield event("message_delta", delta=ended, usage={"output_tokens": used["output_tokens"]})
    yield event("message_stop")
