"""Errors as each provider words them: status, headers, body."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..timestamps import to_iso
from .conversation import Json, Refuse

RETRY_AFTER = "2"


@dataclass(frozen=True, slots=True)
class Refusal:
    status: int
    body: Json
    headers: dict[str, str] = field(default_factory=dict)


STATUS = {
    "E401": 401,
    "E429": 429,
    "E500": 500,
    "E503": 503,
    "E529": 529,
    "EQUOTA": 429,
    "EUSAGE": 429,
    "ECTX": 400,
}

# word -> type, code, message
_OPENAI = {
    "E401": ("invalid_request_error", "invalid_api_key", "Incorrect API key provided: scripted."),
    "E429": ("requests", "rate_limit_exceeded", "Rate limit reached for scripted. Please try again in 2s."),
    "E500": ("server_error", "server_error", "The server had an error while processing your request."),
    "E503": ("service_unavailable", "service_unavailable", "The engine is currently overloaded."),
    "E529": ("overloaded_error", "overloaded", "Overloaded"),
    "EQUOTA": (
        "insufficient_quota",
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    "EUSAGE": ("usage_limit_reached", "usage_limit_reached", "The usage limit has been reached"),
    "ECTX": (
        "invalid_request_error",
        "context_length_exceeded",
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
    ),
}

_ANTHROPIC = {
    "E401": ("authentication_error", "invalid x-api-key"),
    "E429": ("rate_limit_error", "This request would exceed your organization's rate limit."),
    "E500": ("api_error", "Internal server error"),
    "E503": ("api_error", "Service unavailable"),
    "E529": ("overloaded_error", "Overloaded"),
    "EQUOTA": ("invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
    "EUSAGE": ("rate_limit_error", "You have reached your usage limit."),
    "ECTX": ("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
}

_GEMINI = {
    "E401": ("UNAUTHENTICATED", "Request had invalid authentication credentials."),
    "E429": ("RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    "E500": ("INTERNAL", "An internal error has occurred."),
    "E503": ("UNAVAILABLE", "The model is overloaded. Please try again later."),
    "E529": ("UNAVAILABLE", "Overloaded"),
    "EQUOTA": (
        "RESOURCE_EXHAUSTED",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    "EUSAGE": ("RESOURCE_EXHAUSTED", "You exceeded your current quota for the day."),
    "ECTX": (
        "INVALID_ARGUMENT",
        "The input token count (1200000) exceeds the maximum number of tokens allowed.",
    ),
}


def _waits(refuse: Refuse, now: float) -> dict[str, str]:
    """The retry-after header, where waiting would help."""
    if refuse.word == "E429":
        return {"retry-after": RETRY_AFTER}
    if refuse.word == "EUSAGE":
        return {"retry-after": str(max(1, round(refuse.resets_at - now)))}
    return {}


def openai(refuse: Refuse, now: float) -> Refusal:
    """Of chat completions and responses. A usage limit also says when it ends, as codex reads it."""
    kind, code, message = _OPENAI[refuse.word]
    error: Json = {"message": message, "type": kind, "param": None, "code": code}
    if refuse.word == "EUSAGE":
        left = max(1, round(refuse.resets_at - now))
        error |= {"plan_type": "plus", "resets_at": refuse.resets_at, "resets_in_seconds": left}
    return Refusal(STATUS[refuse.word], {"error": error}, _waits(refuse, now))


def anthropic(refuse: Refuse, now: float) -> Refusal:
    kind, message = _ANTHROPIC[refuse.word]
    headers = _waits(refuse, now)
    if refuse.word == "EUSAGE":
        headers["anthropic-ratelimit-unified-status"] = "rejected"
        headers["anthropic-ratelimit-unified-reset"] = str(refuse.resets_at)
    status = 400 if refuse.word == "EQUOTA" else STATUS[refuse.word]
    return Refusal(status, {"type": "error", "error": {"type": kind, "message": message}}, headers)


def gemini(refuse: Refuse, now: float) -> Refusal:
    kind, message = _GEMINI[refuse.word]
    status = STATUS[refuse.word]
    details: list[Json] = []
    if refuse.word in {"EQUOTA", "EUSAGE"}:
        quota = {"quotaMetric": "generate_requests", "quotaId": "GenerateRequestsPerDayPerProject"}
        details.append({"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [quota]})
    headers = _waits(refuse, now)
    if "retry-after" in headers:
        delay = f"{headers['retry-after']}s"
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay})
    if refuse.word == "EUSAGE":
        message = f"{message} Access resets at {to_iso(refuse.resets_at)}."
    error: Json = {"code": status, "message": message, "status": kind, "details": details}
    return Refusal(status, {"error": error}, headers)
