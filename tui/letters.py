"""How an agent writes a letter: `hhmrs beat|checkpoint|done|fail|ask|decide` (contract.md section 4).

Agents call this often, so it imports only what the interpreter has loaded anyway: no argparse, no json,
not even `__future__`. A letter is written to tmp/ and renamed into new/; no daemon need be running.
"""

import os
import sys
import time

try:
    from _json import encode_basestring_ascii as _quoted
except ImportError:  # an interpreter without the C accelerator
    from json.encoder import encode_basestring_ascii as _quoted

VERBS = ("beat", "checkpoint", "done", "fail", "ask", "decide")
STRATEGIES = ("nudge", "resume", "restart", "reassign", "escalate")
STATES = (
    "idle",
    "planning",
    "delegating",
    "executing",
    "monitoring",
    "validating",
    "awaiting_approval",
    "completed",
    "failed",
    "hibernated",
)
MAX_LETTER = 1 << 20

_VALUED = {
    "beat": ("--state", "--progress", "--message", "--snippet"),
    "checkpoint": ("--completed", "--file", "--next", "--data"),
    "done": ("--summary", "--exit-code", "--artifact"),
    "fail": ("--summary", "--exit-code", "--artifact"),
    "ask": ("--option",),
    "decide": (),
}
_HELP = {
    "beat": "usage: hhmrs beat [[--state] STATE] [--progress 0..1] [--message TEXT] [--snippet python|sh]\n\n"
    "Say that you are alive. STATE (default executing): " + " ".join(STATES) + ".\n"
    "--snippet prints a small file to copy into your own program instead.\n",
    "checkpoint": "usage: hhmrs checkpoint [--completed TEXT]... [--file PATH]... [--next TEXT]...\n"
    "       [--data JSON]\n\n"
    "Save where you are: what is finished, which files it made, what comes next.\n"
    "A successor starts from your newest checkpoint. Options may be repeated.\n",
    "done": "usage: hhmrs done [--summary TEXT] [--exit-code N] [--artifact PATH]...\n\n"
    "Say that the task is finished.\n",
    "fail": "usage: hhmrs fail [--summary TEXT] [--exit-code N] [--artifact PATH]...\n\n"
    "Say that you cannot finish the task, and why.\n",
    "ask": "usage: hhmrs ask QUESTION [--option TEXT]...\n\n"
    "Ask a person. You count as waiting until the answer is typed to you.\n",
    "decide": "usage: hhmrs decide INCIDENT STRATEGY\n\n"
    "Answer an alert about a child of yours. STRATEGY: " + " ".join(STRATEGIES) + ".\n"
    "It counts only from an ancestor of the child, and only while you are asked.\n",
}


class _Usage(Exception):
    """The command line is wrong; the text is the one line shown."""


class _Unsent(Exception):
    """The letter could not be put into the inbox."""


def letter_main(argv: list[str]) -> int:
    """Run one verb of VERBS. `argv` starts with the verb. Returns 0, 1 (not written) or 2 (usage)."""
    verb = argv[0] if argv else ""
    if verb not in VERBS:
        return _say(2, "a letter is one of: " + " ".join(VERBS))
    code, why = write_letter(verb, argv[1:])
    return _say(code, f"{verb}: {why}") if code else 0


def write_letter(verb: str, rest: list[str]) -> tuple[int, str]:
    """Write the letter that these words of a command line mean, or print what they ask for: 0, or 1 (not
    written) or 2 (usage), and why."""
    try:
        words, options = _parse(verb, rest)
        if "--help" in options:
            sys.stdout.write(_HELP[verb])
        elif "--snippet" in options:
            _print_snippet(options["--snippet"][-1])
        else:
            _send(verb, _FIELDS[verb](words, options), durable=verb != "beat")
    except _Usage as wrong:
        return 2, str(wrong)
    except _Unsent as why:
        return 1, str(why)
    return 0, ""


def _say(code: int, text: str) -> int:
    sys.stderr.write(f"hhmrs {text}\n".encode("utf-8", "replace").decode("utf-8"))
    return code


def _parse(verb: str, rest: list[str]) -> tuple[list[str], dict[str, list[str]]]:
    words: list[str] = []
    options: dict[str, list[str]] = {}
    position = 0
    while position < len(rest):
        word = rest[position]
        position += 1
        if word == "--":
            words += rest[position:]
            break
        if word in ("--help", "-h"):
            options["--help"] = []
        elif word == "--no-wait" and verb == "decide":
            continue  # a letter never waits
        elif word.startswith("--"):
            name, equals, value = word.partition("=")
            if name not in _VALUED[verb]:
                raise _Usage(f"unknown option {name!r}; it takes {' '.join(_VALUED[verb])}")
            if not equals:
                if position == len(rest):
                    raise _Usage(f"{name} needs a value")
                value = rest[position]
                position += 1
            options.setdefault(name, []).append(value)
        else:
            words.append(word)
    return words, options


def _beat_fields(words: list[str], options: dict[str, list[str]]) -> list[str]:
    words = words + options.get("--state", [])
    if len(words) > 1:
        raise _Usage("takes one STATE; put other text into --message")
    state = words[0] if words else "executing"
    if state not in STATES:
        raise _Usage(f"unknown state {state!r}; it is one of {' '.join(STATES)}")
    fields = ['"state":' + _quoted(state)]
    if "--progress" in options:
        fields.append('"progress":' + _fraction(options["--progress"][-1]))
    if "--message" in options:
        fields.append('"message":' + _text(options["--message"][-1]))
    return fields


def _checkpoint_fields(words: list[str], options: dict[str, list[str]]) -> list[str]:
    if words:
        raise _Usage(f"unexpected {words[0]!r}; say --completed, --file or --next before it")
    if not options:
        raise _Usage("give at least one of --completed --file --next --data")
    fields = [
        _listed("completed", options.get("--completed", [])),
        _listed("files", options.get("--file", [])),
        _listed("next", options.get("--next", [])),
    ]
    if "--data" in options:
        fields.append('"data":' + _object(options["--data"][-1]))
    return fields


def _end_fields(words: list[str], options: dict[str, list[str]]) -> list[str]:
    if words:
        raise _Usage(f"unexpected {words[0]!r}; put text into --summary")
    fields = ['"summary":' + _text(options.get("--summary", [""])[-1])]
    if "--exit-code" in options:
        code = options["--exit-code"][-1]
        if not code.lstrip("-").isdecimal() or not code.isascii() or len(code) > 6:
            raise _Usage(f"--exit-code is a whole number, not {code!r}")
        fields.append(f'"exit_code":{int(code)}')
    fields.append(_listed("artifacts", options.get("--artifact", [])))
    return fields


def _ask_fields(words: list[str], options: dict[str, list[str]]) -> list[str]:
    if len(words) != 1 or not words[0].strip():
        raise _Usage("takes one QUESTION; quote it")
    return ['"question":' + _text(words[0]), _listed("options", options.get("--option", []))]


def _decide_fields(words: list[str], _: dict[str, list[str]]) -> list[str]:
    if len(words) != 2:
        raise _Usage("takes INCIDENT STRATEGY, as the alert names them")
    incident, strategy = words
    if strategy not in STRATEGIES:
        raise _Usage(f"unknown strategy {strategy!r}; it is one of {' '.join(STRATEGIES)}")
    return ['"incident":' + _text(incident), '"strategy":' + _text(strategy)]


_FIELDS = {
    "beat": _beat_fields,
    "checkpoint": _checkpoint_fields,
    "done": _end_fields,
    "fail": _end_fields,
    "ask": _ask_fields,
    "decide": _decide_fields,
}


def _text(value: str) -> str:
    """A JSON string. Bytes of the command line that are no UTF-8 become the replacement character."""
    return _quoted(value.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


def _listed(name: str, values: list[str]) -> str:
    return f'"{name}":[' + ",".join(_text(value) for value in values) + "]"


def _fraction(value: str) -> str:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0.0 <= number <= 1.0:
        raise _Usage(f"--progress is a number from 0 to 1, not {value!r}")
    return repr(number)


def _object(value: str) -> str:
    import json  # only --data pays for it

    try:
        parsed = json.loads(value)
        if isinstance(parsed, dict):
            return json.dumps(parsed, allow_nan=False)
    except (ValueError, RecursionError):
        pass
    raise _Usage("--data is one JSON object, such as '{\"row\": 7}'")


def _send(kind: str, fields: list[str], durable: bool) -> None:
    inbox, agent, attempt = (
        os.environ.get(name, "") for name in ("HHMRS_INBOX", "HHMRS_AGENT", "HHMRS_ATTEMPT")
    )
    if not inbox or not agent or not attempt.isdecimal():
        raise _Usage(
            "this is for agents: run it inside an agent that hhmrs started (HHMRS_INBOX is not set here); "
            "to give an order use `hhmrs send`, `restart` and the like"
        )
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"
    head = [f'"kind":"{kind}"', '"agent":' + _text(agent), f'"attempt":{int(attempt)}', f'"at":"{stamp}"']
    letter = ("{" + ",".join(head + fields) + "}").encode("ascii")
    if len(letter) > MAX_LETTER:
        raise _Usage(f"the letter has {len(letter)} bytes; at most {MAX_LETTER} are taken")
    name = f"{time.time_ns():020d}-{os.getpid()}-{os.urandom(4).hex()}.json"
    try:
        _deliver(f"{inbox}/tmp/{name}", f"{inbox}/new/{name}", letter, durable)
    except OSError as why:
        raise _Unsent(
            f"the inbox {inbox} cannot be written: {why.strerror or why}; look at it with `hhmrs doctor`"
        ) from None


def _deliver(draft: str, final: str, letter: bytes, durable: bool) -> None:
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            rest = memoryview(letter)
            while rest:
                rest = rest[os.write(fd, rest) :]
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(draft, final)
    except OSError:
        try:
            os.unlink(draft)
        except OSError:
            pass
        raise
    if durable:
        folder = os.open(os.path.dirname(final), os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _print_snippet(which: str) -> None:
    ending = {"python": "py", "sh": "sh"}.get(which)
    if ending is None:
        raise _Usage(f"--snippet is python or sh, not {which!r}")
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "snippets", "heartbeat." + ending)
    with open(path, encoding="utf-8") as file:
        sys.stdout.write(file.read())
