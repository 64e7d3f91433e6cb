"""Gemini's generateContent: what the Gemini CLI speaks."""

from __future__ import annotations

import json
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
    Tool,
    as_object,
    as_objects,
    as_text,
    tools_from,
    words,
)


def read(body: Json, model: str, *, stream: bool) -> Conversation:
    entries: list[Said | Called | Returned] = []
    if system := as_text(as_object(body.get("systemInstruction")).get("parts")):
        entries.append(Said("system", system))
    for content in as_objects(body.get("contents")):
        for part in as_objects(content.get("parts")):
            call, result = as_object(part.get("functionCall")), as_object(part.get("functionResponse"))
            if call:
                name, given = str(call.get("name")), as_object(call.get("args"))
                entries.append(Called(str(call.get("id", name)), name, given))
            elif result:
                said = as_object(result.get("response"))
                text = said.get("output", said.get("error", said))
                told = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
                entries.append(Returned(str(result.get("id", result.get("name"))), told))
        shown = [part for part in as_objects(content.get("parts")) if part.get("thought") is not True]
        if text := as_text(shown):
            entries.append(Said("assistant" if content.get("role") == "model" else "user", text))
    config = as_object(body.get("generationConfig"))
    schema = config.get("responseJsonSchema", config.get("responseSchema"))
    json_wanted = config.get("responseMimeType") == "application/json"
    form = as_object(schema) if json_wanted else None
    return Conversation(tuple(entries), _tools(body), model, stream, form)


def _tools(body: Json) -> tuple[Tool, ...]:
    found: list[Tool] = []
    for group in as_objects(body.get("tools")):
        for each in as_objects(group.get("functionDeclarations")):
            key = "parametersJsonSchema" if "parametersJsonSchema" in each else "parameters"
            found.extend(tools_from([each], key))
    return tuple(found)


def _chunk(parts: list[Json], asked: Conversation, got: int, end: str | None = None) -> Json:
    candidate: Json = {"content": {"role": "model", "parts": parts}, "index": 0}
    if end:
        candidate["finishReason"] = end
    used = {"promptTokenCount": asked.size, "candidatesTokenCount": got, "totalTokenCount": asked.size + got}
    return {"candidates": [candidate], "usageMetadata": used, "modelVersion": asked.model}


def _parts(reply: Say | Call) -> list[Json]:
    if isinstance(reply, Say):
        return [{"text": reply.text}]
    return [{"functionCall": {"name": reply.tool.name, "args": reply.arguments}}]


def whole(reply: Say | Call, asked: Conversation) -> Json:
    parts = _parts(reply)
    return _chunk(parts, asked, len(json.dumps(parts)) // 4, "STOP")


def frames(reply: Say | Call, asked: Conversation) -> Iterator[Frame]:
    def event(chunk: Json, pause: float = 0.0) -> Frame:
        return Frame(f"data: {json.dumps(chunk, ensure_ascii=False)}\r\n\r\n", pause)

    if isinstance(reply, Say):
        pieces = list(words(reply.text)) or [""]
        for place, word in enumerate(pieces, 1):
            end = "STOP" if place == len(pieces) else None
            yield event(_chunk([{"text": word}], asked, place, end), reply.pause if end is None else 0.0)
    else:
        yield event(whole(reply, asked))
