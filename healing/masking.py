"""Takes out of a text what looks like a credential, before it is stored or shown to somebody else."""

from __future__ import annotations

import re

MASK = "[secret removed]"

_WHOLE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|\bsk-[A-Za-z0-9_-]{16,}"
    r"|\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}"
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}"
    r"|\bglpat-[A-Za-z0-9_-]{16,}"
    r"|\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\bxapp-[A-Za-z0-9-]{10,}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\bAIza[A-Za-z0-9_-]{30,}"
    r"|\bya29\.[A-Za-z0-9_-]{20,}"
    r"|\bhf_[A-Za-z0-9]{20,}|\bnpm_[A-Za-z0-9]{20,}|\bpypi-[A-Za-z0-9_-]{20,}"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
    re.DOTALL,
)
# No open-ended repeat before a required part: each match takes time linear in the text, whatever it holds.
_AFTER = re.compile(
    r"""(?ix)
    ( \b bearer \s+
    | \b basic \s+ (?= [a-z0-9+/]{12,} )
    | (?: api[_-]?key | secret | passw(?:or)?d | passwd | token | access[_-]?key ) [a-z0-9_-]{0,40}
      ["']? \s* [:=] \s* ["']?
    )
    ( [^\s"',;&]{6,} )
    """
)
_IN_URL = re.compile(r"(\b[a-z][a-z0-9+.-]{1,20}://[^\s/@:]{0,64}:)[^\s/@]{1,256}@", re.IGNORECASE)


def mask_secrets(text: str) -> str:
    """`text` with keys, tokens, passwords and private keys of common shapes replaced by MASK."""
    text = _WHOLE.sub(MASK, text)
    text = _IN_URL.sub(rf"\1{MASK}@", text)
    return _AFTER.sub(lambda found: found[0] if MASK in found[0] else found[1] + MASK, text)
