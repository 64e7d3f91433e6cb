"""Which of the tools on offer writes a file or runs a command, and how it wants to be called."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from posixpath import dirname, isabs, join
from typing import Any

from .conversation import Call, Conversation, Json, Tool, as_object

SHELLS = (
    "exec_command",  # codex; `shell_command` and `shell` in its older versions
    "shell_command",
    "shell",  # goose too, as developer__shell
    "run_shell_command",  # gemini, qwen
    "bash",  # opencode, copilot, crush
    "Bash",  # claude
)
COMMAND_KEYS = ("cmd", "command", "script")
WRITERS = (
    "write_file",  # gemini, qwen
    "write",  # opencode, crush
    "Write",  # claude
    "create",  # copilot
    "str_replace_editor",
    "text_editor",  # goose
)
PATH_KEYS = ("file_path", "filePath", "path", "absolute_path")
CONTENT_KEYS = ("content", "file_text", "contents")
PATCHES = ("apply_patch",)  # codex, where it offers no shell
ACTIONS = ("create", "write")
"""What an editor with many commands calls the writing of a whole file."""


def to_write(conversation: Conversation, file: str, text: str) -> Call | None:
    """The call that writes a file: by a tool for that, else by a shell, else by a patch; None without any."""
    folder = conversation.folder
    writer = _offered(conversation, WRITERS)
    if writer and (isabs(file) or folder):
        place = file if isabs(file) else join(folder, file)
        given: Json = {_key(writer, PATH_KEYS): place, _key(writer, CONTENT_KEYS): text}
        action = as_object(writer.properties.get("command")).get("enum")
        if isinstance(action, list):
            given["command"] = next((each for each in ACTIONS if each in action), ACTIONS[0])
        return Call(writer, filled(writer.schema, given))
    if call := to_run(conversation, _shell_write(file, text)):
        return call
    if (patcher := _offered(conversation, PATCHES)) is not None:
        lines = "".join(f"+{line}\n" for line in text.splitlines())
        patch = f"*** Begin Patch\n*** Add File: {file}\n{lines}*** End Patch\n"
        if patcher.freeform:
            return Call(patcher, {}, patch)
        return Call(patcher, filled(patcher.schema, {_key(patcher, ("input", "patch")): patch}))
    return None


def _shell_write(file: str, text: str) -> str:
    make = f"mkdir -p {shlex.quote(dirname(file))} && " if dirname(file) else ""
    return f"{make}printf %s {shlex.quote(text)} > {shlex.quote(file)}"


def to_run(conversation: Conversation, command: str, *, ask: bool = False) -> Call | None:
    """The call that runs a shell command; `ask`: beyond the CLI's sandbox, where its tool can say so."""
    shell = _offered(conversation, SHELLS)
    if shell is None:
        return None
    key = _key(shell, COMMAND_KEYS)
    listed = as_object(shell.properties.get(key)).get("type") == "array"
    given: Json = {key: ["bash", "-lc", command] if listed else command}
    if "description" in shell.properties:
        given["description"] = "Runs the command of the script"
    if ask and "sandbox_permissions" in shell.properties:
        given["sandbox_permissions"] = "require_escalated"
    elif ask and "with_escalated_permissions" in shell.properties:
        given["with_escalated_permissions"] = True
    if ask and "justification" in shell.properties:
        given["justification"] = "The script asks for permission"
    return Call(shell, filled(shell.schema, given))


def by_name(conversation: Conversation, name: str, arguments: Json) -> Call | None:
    """The call of the tool whose name is or ends with `name`, as servers of tools are given a prefix."""
    for tool in conversation.offered:
        if tool.name == name or tool.name.endswith((f"_{name}", f"-{name}", f".{name}")):
            return Call(tool, filled(tool.schema, arguments))
    return None


def _offered(conversation: Conversation, names: Iterable[str]) -> Tool | None:
    there = {tool.name.removeprefix("developer__"): tool for tool in conversation.offered}
    return next((there[name] for name in names if name in there), None)


def _key(tool: Tool, keys: tuple[str, ...]) -> str:
    return next((key for key in keys if key in tool.properties), keys[0])


def filled(schema: Json, given: Json) -> Json:
    """The arguments given and a plain value for each other one that the schema requires."""
    properties = as_object(schema.get("properties"))
    required = schema.get("required")
    names = required if isinstance(required, list) else []
    return {
        **{name: sample(as_object(properties.get(name))) for name in names if isinstance(name, str)},
        **given,
    }


def sample(schema: Json, depth: int = 0) -> Any:
    """The plainest value that a JSON schema allows; `user` where it is a choice: the CLI then asks who speaks
    next."""
    choices = schema.get("enum")
    if isinstance(choices, list) and choices:
        return "user" if "user" in choices else choices[0]
    kind = schema.get("type")
    kind = str(next(iter(kind), "string") if isinstance(kind, list) else kind).lower()
    if kind == "object" and depth < 8:
        properties = as_object(schema.get("properties"))
        return {name: sample(as_object(each), depth + 1) for name, each in properties.items()}
    plain: dict[str, Any] = {
        "boolean": False,
        "integer": 0,
        "number": 0,
        "array": [],
        "object": {},
        "null": None,
    }
    return plain.get(kind, "scripted")
