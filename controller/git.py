"""The one way git is called: our own environment, nobody's configuration, no hooks, no filters, a time limit.

A workspace is written by an agent, so its `.git/config` is hostile: whatever in it could start a program
while we only look is switched off on the command line, which outranks it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

TIMEOUT = 30.0
_TRUSTED = (
    "safe.directory=*",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.untrackedCache=false",
    "core.autocrlf=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.quotePath=false",
    "core.protectNTFS=false",
    "core.protectHFS=false",
    "core.precomposeUnicode=false",
    "core.pager=cat",
    "gc.auto=0",
    "maintenance.auto=false",
    "commit.gpgSign=false",
    "protocol.allow=never",
    "core.preloadIndex=false",
    "submodule.recurse=false",
    "core.askPass=true",
)


class GitError(Exception):
    """git failed, is missing or took too long; the message names the call."""


def git_env(home: Path) -> dict[str, str]:
    """An environment in which only our settings hold. `home`: a folder of ours without configuration."""
    return {
        "PATH": _path(),
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "LC_ALL": "C",
        "TZ": "UTC",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_LITERAL_PATHSPECS": "1",
    }


def _path() -> str:
    """Where programs are looked for: only places that are the same from every folder. git is called in
    folders of agents, and with `.` or `node_modules/.bin` on the path it would be what an agent put there."""
    places = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(place for place in places if os.path.isabs(place)) or os.defpath


def git(
    args: Sequence[str],
    *,
    home: Path,
    cwd: Path | None = None,
    stdin: Iterable[bytes] | bytes = b"",
    timeout: float = TIMEOUT,
    most: int | None = None,
    fine: Sequence[int] = (0,),
    env: Mapping[str, str] | None = None,
) -> bytes:
    """Run git and return its output. `stdin` may be a stream; with `most`, output ends after that many bytes.

    `fine` are the exit statuses that are no failure. Raises GitError."""
    argv = ["git", "--no-pager", *(word for setting in _TRUSTED for word in ("-c", setting)), *args]
    try:
        running = subprocess.Popen(
            argv,
            cwd=cwd,
            env={**git_env(home), **(env or {})},
            umask=0o077,
            start_new_session=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except OSError as why:
        raise GitError(f"git cannot be started ({why.strerror}); install it and run `hhmrs doctor`") from None
    return _converse(running, args, stdin, timeout, most, fine)


def _converse(
    running: subprocess.Popen[bytes],
    args: Sequence[str],
    stdin: Iterable[bytes] | bytes,
    timeout: float,
    most: int | None,
    fine: Sequence[int],
) -> bytes:
    late = threading.Event()

    def end() -> None:
        late.set()
        _kill_group(running)

    alarm = threading.Timer(timeout, end)
    alarm.daemon = True
    alarm.start()
    failures: list[BaseException] = []
    errors: list[bytes] = []
    writer = threading.Thread(target=_feed, args=(running, stdin, failures), daemon=True)
    listener = threading.Thread(target=_hear, args=(running, errors), daemon=True)
    writer.start()
    listener.start()
    try:
        assert running.stdout is not None
        output = running.stdout.read() if most is None else running.stdout.read(most + 1)
        cut = most is not None and len(output) > most
        if cut:
            _kill_group(running)
        writer.join()
        listener.join()
        status = running.wait()
    finally:
        alarm.cancel()
        _kill_group(running)
        running.wait()
        for pipe in (running.stdin, running.stdout, running.stderr):
            if pipe is not None:
                pipe.close()
    if failures:
        raise failures[0]
    if late.is_set():
        raise GitError(f"git {args[0]} took longer than {timeout:g} s and was ended")
    if status not in fine and not cut:
        said = b"".join(errors)[-2000:].decode("utf-8", "replace").strip()
        raise GitError(f"git {' '.join(map(str, args[:4]))} failed with {status}: {said}")
    return output


def _feed(
    running: subprocess.Popen[bytes], stdin: Iterable[bytes] | bytes, failures: list[BaseException]
) -> None:
    if running.stdin is None:
        return
    try:
        for chunk in [stdin] if isinstance(stdin, bytes) else stdin:
            running.stdin.write(chunk)
        running.stdin.close()
    except (BrokenPipeError, ValueError):
        return  # git ended early; its status says why
    except Exception as why:  # noqa: BLE001 - handed to the caller's thread, which raises it
        failures.append(why)
        _kill_group(running)


def _hear(running: subprocess.Popen[bytes], errors: list[bytes]) -> None:
    if running.stderr is not None:
        errors.append(running.stderr.read(65536))
        while running.stderr.read(65536):
            pass


def _kill_group(running: subprocess.Popen[bytes]) -> None:
    """git and whatever it started; only while git is not yet reaped, so that the number is still its own."""
    if running.returncode is None:
        try:
            os.killpg(running.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
