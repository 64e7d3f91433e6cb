"""What a model is asked and what it answers, without any provider's wire format."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Json = dict[str, Any]

_OPENING = re.compile(r"<([A-Za-z][\w-]*)(?: [^<>\n]*)?>")
"""Of what CLIs put around a prompt: <environment_context>, <system-reminder>, <current_datetime>."""
MOST_UNCLOSED = 100
_FOLDER = re.compile(
    r"<cwd>(/[^<\n]*)</cwd>"
    r"|(?:working directory(?: is)?|working in the directory|cwd|Workspace Directories)"
    r"[*`]*:?\s*(?:- )?[*`]*\s*[\"'`]?(/[^\n\"'`<>]*)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Said:
    """`role`: system, user or assistant."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Called:
    """A tool call that the model made; `freeform` where it took one text instead of named arguments."""

    id: str
    name: str
    arguments: Json
    freeform: str | None = None
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class Returned:
    """What a tool answered to the call `id`."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool on offer. `schema`: the JSON schema of its arguments, empty when it is `freeform`."""

    name: str
    schema: Json
    freeform: bool = False
    namespace: str | None = None

    @property
    def properties(self) -> Json:
        return as_object(self.schema.get("properties"))


@dataclass(frozen=True, slots=True)
class Conversation:
    """One request: everything said so far, oldest first."""

    entries: tuple[Said | Called | Returned, ...]
    offered: tuple[Tool, ...] = ()
    model: str = "scripted"
    stream: bool = False
    answer_schema: Json | None = None
    """The answer must be JSON of this schema: a question that the CLI asks for itself."""

    @property
    def users(self) -> tuple[str, ...]:
        """Every message of the user as it came in."""
        return tuple(each.text for each in self.entries if isinstance(each, Said) and each.role == "user")

    @property
    def prompts(self) -> tuple[str, ...]:
        """The messages of the user without what the CLI put there itself."""
        return tuple(text for each in self.users if (text := spoken(each)))

    @property
    def system(self) -> str:
        return "\n".join(
            each.text for each in self.entries if isinstance(each, Said) and each.role == "system"
        )

    @property
    def since_prompt(self) -> tuple[Said | Called | Returned, ...]:
        """What followed the newest prompt."""
        for place in range(len(self.entries) - 1, -1, -1):
            each = self.entries[place]
            if isinstance(each, Said) and each.role == "user" and spoken(each.text):
                return self.entries[place + 1 :]
        return self.entries

    @property
    def folder(self) -> str:
        """The folder that the CLI says it works in; empty when it does not."""
        for each in self.entries:
            if isinstance(each, Said) and (found := _FOLDER.search(each.text)):
                return (found[1] or found[2]).strip().rstrip(".")
        return ""

    @property
    def size(self) -> int:
        """A guess at its tokens: four characters each."""
        return sum(_length(each) for each in self.entries) // 4 + 1


def _length(entry: Said | Called | Returned) -> int:
    if isinstance(entry, Called):
        return len(json.dumps(entry.arguments)) + len(entry.freeform or "")
    return len(entry.text)


def spoken(text: str) -> str:
    """A message without the blocks in tags that CLIs add to it."""
    kept: list[str] = []
    at, unclosed = 0, set[str]()
    for found in _OPENING.finditer(text):
        tag = found[1]
        if found.start() < at or tag in unclosed or len(unclosed) > MOST_UNCLOSED:
            continue
        end = text.find(f"</{tag}>", found.end())
        if end < 0:
            unclosed.add(tag)
            continue
        kept.append(text[at : found.start()])
        at = end + len(tag) + 3
    return "".join([*kept, text[at:]]).strip()


@dataclass(frozen=True, slots=True)
class Say:
    """A text; `pause`: seconds between its words."""

    text: str
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call, after `delay` seconds."""

    tool: Tool
    arguments: Json
    freeform: str | None = None
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Refuse:
    """An error of the provider; `word` as in the prompt (E401 and the like), `resets_at` in Unix seconds."""

    word: str
    resets_at: int = 0


@dataclass(frozen=True, slots=True)
class Hang:
    """Not a byte until the caller hangs up."""


Reply = Say | Call | Refuse | Hang


class Frame(NamedTuple):
    """A piece of a streamed answer and how many seconds to wait after it."""

    text: str
    pause: float = 0.0


def words(text: str) -> Iterator[str]:
    """The text in pieces of one word each, nothing lost."""
    return (piece[0] for piece in re.finditer(r"\S*\s*", text) if piece[0])


def as_object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def as_objects(value: object) -> list[Json]:
    """The objects of a list; what is none is left out."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def as_text(value: object) -> str:
    """A text, or the texts of a list of parts, one below the other."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(text for part in value if (text := _part(part)))
    return ""


def _part(part: object) -> str:
    if isinstance(part, Mapping):
        text = part.get("text")
        return text if isinstance(text, str) else ""
    return part if isinstance(part, str) else ""


def parsed(text: object) -> Json:
    """The arguments of a call as they were sent: JSON in a text, or an object."""
    if not isinstance(text, str):
        return as_object(text)
    try:
        return as_object(json.loads(text))
    except (ValueError, RecursionError):
        return {}


def tools_from(items: Iterable[Json], schema_key: str, namespace: str | None = None) -> tuple[Tool, ...]:
    """The tools of a list of {name, <schema_key>}."""
    return tuple(
        Tool(item["name"], as_object(item.get(schema_key)), namespace=namespace)
        for item in items
        if isinstance(item.get("name"), str)
    )
