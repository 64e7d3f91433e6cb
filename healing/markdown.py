"""Somebody else's words in a Markdown page of ours: inert, bounded, without secrets, in no way able to become
headings, links or the end of their own quotation."""

from __future__ import annotations

import re

from .masking import mask_secrets

ITEM = 400
"""Characters of one line at most."""

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
    # What nobody sees: it hides a secret from its mask, or says to a model what no person reads.
    r"\u00ad\u180e\u200b\u2060-\u2065\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)


def line(text: str, most: int = ITEM) -> str:
    """One line that cannot begin a heading or a fence and holds no markup of its own."""
    plain = " ".join(_inert(text[: most * 4]).split())
    plain = plain if len(plain) <= most else plain[: most - 1] + "…"
    return re.sub(r"([\\`<>#\[\]])", r"\\\1", plain)  # the backslash too, or it would undo the next one


def cell(text: str, most: int = 120) -> str:
    """`line` for a table."""
    return line(text, most).replace("|", "\\|") or "-"


def fenced(text: str, limit: int, *, newest: bool = False) -> str:
    """A quotation of at most `limit` characters, the first or the `newest`, in a fence it cannot close."""
    # Cut twice: first so that cleaning is cheap, then to size, so that no secret is cut in half and missed.
    plain = _inert(text[-4 * limit :] if newest else text[: 4 * limit])
    if len(plain) > limit:
        plain = "…" + plain[1 - limit :] if newest else plain[: limit - 1] + "…"
    longest = max((len(run) for run in re.findall(r"`+", plain)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{plain.rstrip()}\n{fence}"


def inert(text: str) -> str:
    """Without escapes, control characters and what nobody sees; newline and tab stay."""
    return _CONTROL.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


def _inert(text: str) -> str:
    return mask_secrets(inert(text))
