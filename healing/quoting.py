"""One line of somebody else's words as evidence: inert, short, without secrets."""

from __future__ import annotations

from .masking import mask_secrets
from .repeats import strip_escapes

MOST = 200
"""Characters of a quoted line."""


def quote(text: str, most: int = MOST) -> str:
    """`text` on one line that does nothing wherever it is shown: no escape sequence, no control or
    direction mark, no credential, at most `most` characters."""
    # Cut twice: first so that cleaning is cheap, then to size, so that no secret is cut in half and missed.
    plain = strip_escapes(text[: 10 * most])
    plain = "".join(c if c.isprintable() else " " for c in plain)
    plain = " ".join(mask_secrets(plain).split())
    return plain if len(plain) <= most else plain[: most - 1] + "…"
