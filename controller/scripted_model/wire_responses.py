"""OpenAI responses: what codex speaks."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from itertools import count

from .conversation import (
    Call,
    Called,
    Conversation,
    Frame,
    Json,
    Refuse,
    Returned,
    Said,
    Say,
    Tool,
    as_object,
    as_objects,
    as_text,
    parsed,
    tools_from,
    words,
)
from .refusals import openai

IN_STREAM = frozenset({"EQUOTA", "ECTX"})
"""Errors that this interface tells within the stream, under status 200."""


def read(body: Json) -> Conversation:
    entries: list[Said | Called | Returned] = []
    if isinstance(body.get("instructions"), str):
        entries.append(Said("system", body["instructions"]))
    asked = body.get("input")
    if isinstance(asked, str):
        entries.append(Said("user", asked))
    entries.extend(entry for item in as_objects(asked) if (entry := _entry(item)))
    form = as_object(as_object(body.get("text")).get("format")).get("schema")
    return Conversation(
        tuple(entries),
        _tools(as_objects(body.get("tools"))),
        str(body.get("model", "scripted")),
        body.get("stream") is True,
        form if isinstance(form, dict) else None,
    )


def _entry(item: Json) -> Said | Called | Returned | None:
    kind, call = str(item.get("type", "message")), str(item.get("call_id"))
    if kind == "message":
        role = str(item.get("role"))
        return Said(role if role in {"user", "assistant"} else "system", as_text(item.get("content")))
    if kind in {"function_call", "custom_tool_call"}:
        space, freeform = item.get("namespace"), item.get("input")
        return Called(
            call,
            str(item.get("name")),
            parsed(item.get("arguments")),
            freeform if isinstance(freeform, str) else None,
            space if isinstance(space, str) else None,
        )
    if kind in {"function_call_output", "custom_tool_call_output"}:
        return Returned(call, as_text(item.get("output")))
    return None


def _tools(items: list[Json]) -> tuple[Tool, ...]:
    tools: list[Tool] = []
    for item in items:
        name = item.get("name")
        if item.get("type") == "namespace":
            tools.extend(tools_from(as_objects(item.get("tools")), "parameters", str(name)))
        elif item.get("type") == "custom" and isinstance(name, str):
            tools.append(Tool(name, {}, freeform=True))
        else:
            tools.extend(tools_from([item], "parameters"))
    return tuple(tools)


def _output(reply: Say | Call) -> Json:
    if isinstance(reply, Say):
        content = [{"type": "output_text", "text": reply.text, "annotations": []}]
        name = f"msg_{uuid.uuid4().hex}"
        return {"type": "message", "id": name, "status": "completed", "role": "assistant", "content": content}
    call: Json = {"call_id": f"call_{uuid.uuid4().hex[:24]}", "name": reply.tool.name, "status": "completed"}
    if reply.freeform is not None:
        return {"type": "custom_tool_call", "id": f"ctc_{uuid.uuid4().hex}", "input": reply.freeform, **call}
    if reply.tool.namespace:
        call["namespace"] = reply.tool.namespace
    arguments = json.dumps(reply.arguments, ensure_ascii=False)
    return {"type": "function_call", "id": f"fc_{uuid.uuid4().hex}", "arguments": arguments, **call}


def _response(asked: Conversation, output: list[Json], status: str) -> Json:
    answer: Json = {
        "id": f"resp_{uuid.uuid4().hex}",
        "object": "response",
        "created_at": int(time.time()),
        "status": status,
        "model": asked.model,
        "output": output,
        "error": None,
        "incomplete_details": None,
        "parallel_tool_calls": False,
        "tools": [],
        "usage": None,
    }
    if status == "completed":
        sent, got = asked.size, len(json.dumps(output)) // 4
        answer["usage"] = {
            "input_tokens": sent,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": got,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": sent + got,
        }
    return answer


def whole(reply: Say | Call, asked: Conversation) -> Json:
    return _response(asked, [_output(reply)], "completed")


def frames(reply: Say | Call | Refuse, asked: Conversation) -> Iterator[Frame]:
    """Server-sent events, each under its own name as well."""
    numbers = count()

    def event(kind: str, pause: float = 0.0, **fields: object) -> Frame:
        told = json.dumps({"type": kind, "sequence_number": next(numbers), **fields}, ensure_ascii=False)
        return Frame(f"event: {kind}\ndata: {told}\n\n", pause)

    begun = _response(asked, [], "in_progress")
    yield event("response.created", response=begun)
    if isinstance(reply, Refuse):
        error = openai(reply, 0.0).body["error"]
        failed = {**begun, "status": "failed", "error": {"code": error["code"], "message": error["message"]}}
        yield event("response.failed", response=failed)
        return
    item = _output(reply)
    if isinstance(reply, Say):
        place: Json = {"item_id": item["id"], "output_index": 0, "content_index": 0}
        empty = {"type": "output_text", "text": "", "annotations": []}
        fresh = {**item, "status": "in_progress", "content": []}
        yield event("response.output_item.added", output_index=0, item=fresh)
        yield event("response.content_part.added", **place, part=empty)
        for word in words(reply.text):
            yield event("response.output_text.delta", reply.pause, **place, delta=word)
        yield event("response.output_text.done", **place, text=reply.text)
        yield event("response.content_part.done", **place, part=item["content"][0])
    else:
        part = "input" if reply.freeform is not None else "arguments"
        kind = "custom_tool_call_input" if reply.freeform is not None else "function_call_arguments"
        added = {**item, "status": "in_progress", part: ""}
        yield event("response.output_item.added", output_index=0, item=added)
        yield event(f"response.{kind}.delta", item_id=item["id"], output_index=0, delta=item[part])
        yield event(f"response.{kind}.done", item_id=item["id"], output_index=0, **{part: item[part]})
    yield event("response.output_item.done", output_index=0, item=item)
    done = {**_response(asked, [item], "completed"), "id": begun["id"]}
    yield event("response.completed", response=done)
