"""Whose models an agent needs: what it shares with others that fail when the provider is down."""

from __future__ import annotations

from ..config.fleet import Seat

BY_PROFILE = {"claude": "anthropic", "codex": "openai", "gemini": "google"}
"""Whom a CLI talks to that has models of one provider only."""
BY_MODEL = (
    ("claude", "anthropic"),
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("codex-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("gemini", "google"),
    ("grok", "xai"),
    ("deepseek", "deepseek"),
    ("mistral", "mistral"),
)
"""How the models of a provider begin that are named without it."""


def provider_of(seat: Seat) -> str:
    """The provider of a seat: what stands before the first `/` of its model, else what the profile or the
    model's name means; a profile that nobody knows is a provider of its own."""
    profile, model = seat.profile.name, (seat.model or "").lower()
    before, slash, _ = model.partition("/")
    if slash and before:
        return before
    own = BY_PROFILE.get(profile)
    return own or next((name for start, name in BY_MODEL if model.startswith(start)), profile)
