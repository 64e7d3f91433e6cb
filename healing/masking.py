"""Takes out of a text what looks like a credential, before it is stored or shown to somebody else."""

from __future__ import annotations

import re

MASK = "[secret removed]"

_WHOLE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\Z)"
    r"|\bsk-[A-Za-z0-9_-]{16,}"
    r"|\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}"
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}"
    r"|\bglpat-[A-Za-z0-9_-]{16,}"
    r"|\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\bxapp-[A-Za-z0-9-]{10,}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\bAIza[A-Za-z0-9_-]{30,}"
    r"|\bya29\.[A-Za-z0-9_-]{20,}"
    r"|\b(?:hf|npm|gsk)_[A-Za-z0-9]{20,}|\bpypi-[A-Za-z0-9_-]{20,}"
    r"|\bdckr_pat_[A-Za-z0-9_-]{20,}|\b(?:whsec|shpat|shpss)_[A-Za-z0-9]{20,}"
    r"|\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"
    r"|\bAGE-SECRET-KEY-1[A-Z0-9]{20,}"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
    re.DOTALL,
)
# No open-ended repeat before a required part: each match takes time linear in the text, whatever it holds.
_NAMED = r"""
    (?: api[_-]?key | secret | passw(?:or)?d | passwd | passphrase | [a-z0-9]_pass(?![a-z]) | token
      | (?:access|account|private)[_-]?key | credential | x-auth | session[_-]?id )
    [a-z0-9_-]{0,40}
"""
_VALUE = r"""
    (?: "[^"\r\n]{4,400}" | '[^'\r\n]{4,400}' | [^\s"',;&\\]{6,} | [^\s"']{6,} )
"""
_AFTER = re.compile(
    rf"""(?ix)
    ( \b bearer :? \s+
    | \b basic \s+ (?= [a-z0-9+/]{{12,}} )
    | \b authorization ["']? \s* [:=] \s* ["']? (?: [a-z0-9-]{{1,20}} \s+ )?
    | \b (?:set-)? cookie ["']? \s* : \s* ["']?
    | (?:[?&]|x-amz-) (?: sig | signature | code | key ) =
    | (?<!\S) --? {_NAMED} \s+
    | (?:^|\s) (?: -u | --user ) [\s=] \s? ["']? [^\s:"']{{1,64}} :
    | \b login \s+ \S{{1,64}} \s+ password \s+
    | (?-i: [A-Z0-9] _KEY ) \s* [:=] \s*
    | {_NAMED} (?: \\? ["'] )? \s* [:=] \s* (?: \\ (?=["']) )?
    )
    (?! (?: [a-z0-9-]{{1,20}} \s+ )? \[secret[ ]removed )  # it stays as it is, told on or not
    ( {_VALUE} )
    """
)
_IN_URL = re.compile(
    r"(\b[a-z][a-z0-9+.-]{1,20}://)(?:([^\s/@:]{0,256}:)[^\s/]{1,4096}|[^\s/@:]{16,4096})@", re.IGNORECASE
)
_HINTS = (
    "key", "secret", "pass", "token", "credential", "auth", "session", "bearer", "basic", "cookie", "sig",
    "code", "-u", "-user",
)  # fmt: skip
"""Without any of these there is nothing that `_AFTER` could find: most texts are looked at no further."""


def mask_secrets(text: str) -> str:
    """`text` with keys, tokens, passwords and private keys of common shapes replaced by MASK."""
    text = _WHOLE.sub(MASK, text)
    if "://" in text and "@" in text:
        text = _IN_URL.sub(lambda found: f"{found[1]}{found[2] or ''}{MASK}@", text)
    lowered = text.lower()
    return _AFTER.sub(_masked, text) if any(hint in lowered for hint in _HINTS) else text


def _masked(found: re.Match[str]) -> str:
    """The value gone, its quotation marks left."""
    if MASK in found[0]:
        return found[0]
    mark = found[2][0] if found[2][0] in "\"'" else ""
    return f"{found[1]}{mark}{MASK}{mark}"
