"""The keys of a profile, in a fleet file's `profiles:` and in our own profiles/*.yaml alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args

from .fleet import (
    CAUSES,
    SCREEN_PHASES,
    Dialog,
    ErrorRule,
    ExitRule,
    HookKind,
    LivenessKind,
    LocalModel,
    Probe,
    Profile,
    ScreenRule,
    StatusKind,
    StatusRule,
    TranscriptRule,
)
from .nodes import Node, Scalar
from .shapes import (
    Record,
    Report,
    Shape,
    Wrong,
    choice,
    flag,
    leaf,
    listing,
    record,
    regex,
    table,
    text,
    whole,
)

ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
PROFILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
RULE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
LIVENESS = get_args(LivenessKind)

_argument = text("one argument of a command", lines=True, empty=True)
words = listing(_argument, "a list of arguments")
"""Arguments; the list may be empty."""
_command = listing(_argument, "a list such as [python3, worker.py]", at_least=1)


def command(node: Node, report: Report) -> tuple[str, ...] | None:
    """A program and its arguments, never a line for a shell."""
    argv = _command(node, report)
    if argv is not None and not argv[0]:
        report.add(node, "the program's name is empty, expected a command")
        return None
    return argv


def _env_name(key: Scalar, report: Report) -> bool:
    if not ENV_NAME.fullmatch(key.raw):
        report.add(key, "no name of an environment variable, expected letters, digits and _")
    elif key.raw.startswith("HHMRS_"):
        report.add(key, "HHMRS_ variables are set by hhmrs itself, expected another name")
    else:
        return True
    return False


_value = text("text", references=True, empty=True, lines=True)
env = table(_env_name, _value, "a mapping of variables to text")


def liveness(node: Node, report: Report) -> tuple[str, ...] | None:
    kinds = listing(choice(LIVENESS), f"a list of {', '.join(LIVENESS)}", at_least=1)(node, report)
    return tuple(dict.fromkeys(kinds)) if kinds else None


_probe = record(
    {"output": regex(), "port": whole(1, 65535), "command": command},
    "a mapping with one of output, port, command",
)


def probe(node: Node, report: Report) -> Probe | None:
    """Exactly one way to prove that an agent is up."""
    found = _probe(node, report)
    if found is None:
        return None
    if len(found.given) != 1:
        what = " and ".join(found.given) or "nothing"
        report.add(node, f"found {what}, expected exactly one of output, port, command")
        return None
    return Probe(**found.values) if found.values else None


_screen = record(
    {
        "phase": choice(SCREEN_PHASES),
        "pattern": regex(),
        "cause": choice(CAUSES),
        "lines": whole(1, 200),
        "below": regex(),
        "resets": regex(groups=1),
    },
    "a mapping with the keys of a screen rule",
)


def _screen_rule(node: Node, report: Report) -> dict[str, Any] | None:
    values = _complete(_screen(node, report), ("phase", "pattern"), report)
    if values is not None and (values["phase"] == "error") != ("cause" in values):
        report.add(node, "`cause` belongs to phase error and to no other, expected both or neither")
        return None
    return values


KEY_NAME = re.compile(r"[A-Za-z0-9]|Enter|Escape|Space|Tab|BTab|BSpace|Up|Down|Left|Right")
"""Keys that may close a dialog: none of them interrupts or ends a program by itself."""


@leaf
def _key(node: Node, _: Report) -> str:
    raw = node.raw if isinstance(node, Scalar) else ""
    if not KEY_NAME.fullmatch(raw):
        raise Wrong("no key that may close a dialog, expected a letter, a digit, Enter, Escape, an arrow")
    return raw


_dialog = record(
    {
        "pattern": regex(),
        "keys": listing(_key, "a list of one to five keys", at_least=1),
        "lines": whole(1, 200),
        "below": regex(),
    },
    "a mapping with the keys of a dialog",
)


def _dialog_rule(node: Node, report: Report) -> dict[str, Any] | None:
    found = _complete(_dialog(node, report), ("pattern", "keys"), report)
    if found is not None and len(found["keys"]) > 5:
        report.add(node, f"{len(found['keys'])} keys, expected at most 5")
        return None
    return found


def _rule_name(key: Scalar, report: Report) -> bool:
    if not RULE_NAME.fullmatch(key.raw):
        report.add(key, "unsafe name, expected a-z, 0-9, _ and -, at most 32")
        return False
    return True


_BRACES = re.compile(r"(?<!\$)\{([^{}]*)\}")


def _place(known: tuple[str, ...], *, inside: bool) -> Shape[str]:
    """A path with placeholders of `known`; `inside` that it is relative and never leads up."""
    as_text = text("a path", limit=500, references=True)

    @leaf
    def read(node: Node, report: Report) -> str | None:
        raw = as_text(node, report)
        if raw is None:
            return None
        if inside and (raw.startswith(("/", "~")) or ".." in raw.split("/") or "//" in raw):
            raise Wrong("leads out of its folder, expected a relative path without ..")
        for name in _BRACES.findall(raw):
            if name not in known:
                names = f"one of {', '.join(known)}" if known else "a path without any"
                raise Wrong(f"{{{name}}} is no placeholder here, expected {names}")
        return raw

    return read


_error = record(
    {"cause": choice(CAUSES), "pattern": regex(), "resets": regex(groups=1)},
    "a mapping with the keys of an error rule",
)


def _error_rule(node: Node, report: Report) -> ErrorRule | None:
    values = _complete(_error(node, report), ("cause", "pattern"), report)
    return ErrorRule(**values) if values else None


_transcript = record(
    {
        "roots": listing(_place(("workspace", "repo"), inside=False), "a list of folders", at_least=1),
        "file": _place(("session", "session8", "folder"), inside=True),
        "counts": regex(),
        "folder": text(limit=100),
        "session": text(limit=100),
        "began": text(limit=100),
        "kept_open": flag,
        "errors": listing(_error_rule, "a list of rules"),
    },
    "a mapping with the keys of a transcript rule",
)
_status = record(
    {"pattern": _place(("agent",), inside=True), "kind": choice(get_args(StatusKind))},
    "a mapping with the keys of a status file",
)


def _transcript_rule(node: Node, report: Report) -> TranscriptRule | None:
    values = _complete(_transcript(node, report), ("roots", "file", "counts"), report)
    return TranscriptRule(**values) if values else None


def _status_rule(node: Node, report: Report) -> StatusRule | None:
    values = _complete(_status(node, report), ("pattern", "kind"), report)
    return StatusRule(**values) if values else None


_exit = record(
    {
        "cause": choice(CAUSES),
        "pattern": regex(),
        "status": listing(whole(0, 255), "a list of exit statuses"),
        "resets": regex(groups=1),
    },
    "a mapping with the keys of an exit rule",
)


def _exit_rule(node: Node, report: Report) -> ExitRule | None:
    values = _complete(_exit(node, report), ("cause", "pattern"), report)
    return ExitRule(**values) if values else None


_below_home = _place((), inside=True)


def _home_path(key: Scalar, report: Report) -> bool:
    return _below_home(key, report) is not None


_local = record(
    {
        "args": words,
        "env": table(_env_name, text("text", empty=True, lines=True), "a mapping of variables to text"),
        "files": table(_home_path, text("a file's text", lines=True), "a mapping of paths to text"),
        "model": text("a model's name"),
    },
    "a mapping with the keys of a local model",
)


def _local_model(node: Node, report: Report) -> LocalModel | None:
    found = _local(node, report)
    return LocalModel(**found.values) if found else None


def _complete(found: Record | None, needed: tuple[str, ...], report: Report) -> dict[str, Any] | None:
    """The values of `found`, when all `needed` keys are good; the missing ones are reported."""
    if found is None:
        return None
    missing = [key for key in needed if key not in found.given]
    if missing:
        report.add(found.node, f"{' and '.join(missing)} missing, expected {' and '.join(needed)}")
    return found.values if all(key in found.values for key in needed) else None


def _status_key(key: Scalar, report: Report) -> bool:
    if re.fullmatch(r"0|[1-9][0-9]{0,2}", key.raw) and int(key.raw) <= 255:
        return True
    report.add(key, "no exit status, expected a number from 0 to 255")
    return False


@leaf
def _passed_variable(node: Node, _: Report) -> str:
    raw = node.raw if isinstance(node, Scalar) else ""
    bare = raw.removeprefix("*") if raw.startswith("*") else raw.removesuffix("*")
    if raw != "*" and not re.fullmatch(r"[A-Za-z0-9_]{1,128}" if bare != raw else ENV_NAME, bare):
        raise Wrong(
            "no name of an environment variable, expected such as FOO, FOO_*, *_API_KEY, or * for all"
        )
    return raw


@leaf
def _variable(node: Node, _: Report) -> str:
    raw = node.raw if isinstance(node, Scalar) else ""
    if not ENV_NAME.fullmatch(raw.removesuffix("*")):
        raise Wrong("no name of an environment variable, expected such as FOO, or FOO* for all that begin so")
    return raw


PROFILE_SHAPES: dict[str, Shape[Any]] = {
    "like": text("the name of a built-in profile", pattern=PROFILE_NAME),
    "about": text(limit=200),
    "checked": choice(("verified", "documented")),
    "version": text(limit=40),
    "command": command,
    "model": words,
    "prompt": words,
    "session": words,
    "resume": words,
    "resume_prompt": words,
    "type_prompt": choice(("never", "resumed", "always")),
    "autonomy": words,
    "needed": words,
    "env": env,
    "pass_env": listing(_passed_variable, "a list of environment variables"),
    "unset_env": listing(_variable, "a list of environment variables"),
    "ready": probe,
    "liveness": liveness,
    "screens": table(_rule_name, _screen_rule, "a mapping of names to rules"),
    "dialogs": table(_rule_name, _dialog_rule, "a mapping of names to dialogs"),
    "transcripts": listing(_transcript_rule, "a list of rules"),
    "status_files": listing(_status_rule, "a list of rules"),
    "bookkeeping": listing(_place((), inside=True), "a list of paths in the workspace"),
    "exits": listing(_exit_rule, "a list of rules"),
    "exit_codes": table(_status_key, choice(CAUSES), "a mapping of exit statuses to causes"),
    "nudge_keys": words,
    "quit_keys": words,
    "interrupt_keys": words,
    "processes": words,
    "local_model": _local_model,
    "provider_ports": listing(whole(1, 65535), "a list of ports"),
    "hooks": choice(tuple(kind for kind in get_args(HookKind) if kind)),
}

_TEMPLATES = ("model", "prompt", "session", "resume", "resume_prompt", "autonomy", "needed")

read_profile: Shape[Record] = record(PROFILE_SHAPES, "a mapping with the keys of a profile")


def merged(values: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """A profile's values with others laid over them field by field; env, screens, dialogs and exit_codes
    key by key, and pass_env name by name: who adds a variable still needs the CLI's own."""
    result = dict(values)
    for key, value in over.items():
        if key == "pass_env":
            result[key] = tuple(dict.fromkeys([*result.get(key, ()), *value]))
        else:
            result[key] = {**result.get(key, {}), **value} if isinstance(value, dict) else value
    return result


def as_profile(name: str, values: Mapping[str, Any]) -> Profile:
    """The model of a profile's values as its shapes read them."""
    fields = {f"{key}_args" if key in _TEMPLATES else key: value for key, value in values.items()}
    if "screens" in fields:
        fields["screens"] = tuple(ScreenRule(name=rule, **each) for rule, each in fields["screens"].items())
    if "dialogs" in fields:
        fields["dialogs"] = tuple(Dialog(name=rule, **each) for rule, each in fields["dialogs"].items())
    if "exit_codes" in fields:
        fields["exit_codes"] = {int(status): cause for status, cause in fields["exit_codes"].items()}
    return Profile(name=name, **fields)
