"""`${VAR}` in a fleet file: a value that stays out of the file and is looked up only when it is needed."""

from __future__ import annotations

import re
from collections.abc import Mapping

EXPECTED = "${NAME} for an environment variable, $$ for a dollar sign"
_DOLLAR = re.compile(r"\$(?:(?P<escape>\$)|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}|(?P<broken>\{))")


class UnsetVariable(LookupError):
    """`${name}` was asked for and the environment has no such variable."""

    def __init__(self, name: str) -> None:
        super().__init__(f"environment variable {name} is not set")
        self.name = name


def well_formed(text: str) -> bool:
    """Every `${` of `text` opens a proper reference."""
    return not any(found["broken"] for found in _DOLLAR.finditer(text))


def resolve_references(text: str, base: Mapping[str, str]) -> str:
    """`text` with each ${VAR} replaced from `base` and `$$` by `$`; other dollars stay.

    Raises UnsetVariable for the first one that `base` lacks."""

    def value(found: re.Match[str]) -> str:
        name = found["name"]
        if name is None:
            return "$" if found["escape"] else found[0]
        if name not in base:
            raise UnsetVariable(name)
        return base[name]

    return _DOLLAR.sub(value, text)
