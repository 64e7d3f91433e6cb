"""Speaks the documented protocol of Claude Code: its options, hooks, transcript and screen. It has no model,
a line of the prompt tells it what to do.

    python claude_code.py [--session-id ID | --resume ID] [--dangerously-skip-permissions] [PROMPT]

The last line of a message that begins with one of these words counts, any other message is answered in words:
WRITE file text | SH command | PERM command (asks) | RECALL | SLOW seconds | HANG | STEPS n dir |
E401 | E429 | E500 | E529 | EQUOTA | EUSAGE when | ECTX

Settings and transcripts lie below $CLAUDE_CONFIG_DIR (~/.claude). A session id that exists cannot be begun
again, one that does not cannot be resumed; both end it with 1."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import select
import subprocess
import sys
import termios
import time
import tty
from collections.abc import Iterator
from pathlib import Path

from claude_code_files import Hooks, Transcript, config_folder
from letters import LIFETIME

WORDS = re.compile(
    r"^(WRITE|SH|PERM|RECALL|SLOW|HANG|STEPS|E401|E429|E500|E529|EQUOTA|EUSAGE|ECTX)\b[ ]?(.*)$", re.MULTILINE
)
ERRORS = {
    "E401": ("authentication_failed", "API Error: 401 authentication_error · Please run /login"),
    "E429": ("rate_limit", "API Error: Request rejected (429)"),
    "E500": ("server_error", "API Error: 500 Internal server error"),
    "E529": ("server_error", "API Error: Repeated 529 Overloaded errors"),
    "EQUOTA": ("billing_error", "Credit balance is too low"),
    "EUSAGE": ("rate_limit", "You've hit your session limit · resets {}"),
    "ECTX": ("invalid_request", "Prompt is too long"),
}
"""Script word -> what StopFailure is told, and what is shown and written."""
RULE = "─" * 80
SPIN = "✳✽✶✻✢·"
PASTE = ("\x1b[200~", "\x1b[201~")


class Interrupted(Exception):
    """Escape, while it worked."""


class Agent:
    def __init__(self, options: argparse.Namespace) -> None:
        self.bypass = bool(options.dangerously_skip_permissions)
        self.transcript = Transcript(options.session_id, options.resume, options.model or "fake-1")
        self.hooks = Hooks(self.transcript)
        self.said: list[str] = []
        """What stands above the input line."""
        self.typed = ""
        self.queued: list[str] = []
        self.asking: tuple[str, str] | None = None
        self.busy_since: float | None = None
        self.leaving = False

    # -- screen -----------------------------------------------------------------------------------

    def paint(self) -> None:
        rows = os.get_terminal_size().lines
        below = self.dialog() if self.asking else self.input_box()
        above = [line for text in self.said for line in text.split("\n")]
        lines = [*above[-(rows - len(below) - 1) :], *below]
        # The cells go one after the other, as a program does that draws its whole screen anew.
        sys.stdout.write("\x1b[H\x1b[2J" + "\r\n".join(line[:100] for line in lines))
        sys.stdout.flush()

    def input_box(self) -> list[str]:
        spinner: list[str] = []
        if self.busy_since is not None:
            past = int(time.monotonic() - self.busy_since)
            spinner = [
                f"{SPIN[int(time.monotonic() * 5) % len(SPIN)]} Reticulating… ({past}s · ↓ 12 tokens)",
                "",
            ]
        mode = "⏵⏵ bypass permissions on (shift+tab to cycle)" if self.bypass else "? for shortcuts"
        typed = self.typed.split("\n")[-1]
        return [
            "",
            *spinner,
            RULE,
            f"❯ {typed}",
            RULE,
            f"  {'Press Ctrl-C again to exit' if self.leaving else mode}",
        ]

    def dialog(self) -> list[str]:
        assert self.asking
        tool, what = self.asking
        return [
            "", RULE, f" {tool} command", "", f"   {what}", "", " Do you want to proceed?", " ❯ 1. Yes",
            "   2. Yes, and don't ask again", "   3. No, and tell Claude what to do differently (esc)", "",
            " Esc to cancel",
        ]  # fmt: skip

    # -- keys -------------------------------------------------------------------------------------

    def keys(self, wait: float | None) -> Iterator[str]:
        """What was pressed within `wait` seconds: single keys, or a whole paste."""
        if not select.select([sys.stdin], [], [], wait)[0]:
            return
        read = os.read(sys.stdin.fileno(), 65_536)
        if not read:
            raise EOFError
        while read.count(PASTE[0].encode()) > read.count(PASTE[1].encode()):
            read += os.read(sys.stdin.fileno(), 65_536)
        text = read.decode("utf-8", "replace")
        for part in re.split(r"(\x1b\[200~[\s\S]*?\x1b\[201~)", text):
            if part.startswith(PASTE[0]):
                yield part
            elif part == "\x1b" or not part.startswith("\x1b"):
                yield from part

    def take(self, key: str) -> str | None:
        """Into the input line; the whole message with Enter."""
        if key.startswith(PASTE[0]):
            self.typed += key[len(PASTE[0]) : -len(PASTE[1])].replace("\r", "\n")
        elif key == "\r":
            message, self.typed = self.typed.strip(), ""
            return message or None
        elif key == "\x15":
            self.typed = ""
        elif key == "\x7f":
            self.typed = self.typed[:-1]
        elif key.isprintable():
            self.typed += key
        return None

    def pause(self, seconds: float) -> None:
        """Work so long: the spinner turns, what is typed is queued, Escape interrupts."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.paint()
            for key in self.keys(min(left, 0.2)):
                if key in ("\x1b", "\x03"):
                    raise Interrupted
                if message := self.take(key):
                    self.queued.append(message)

    def permitted(self, tool: str, what: str, *, always: bool) -> bool:
        self.hooks.run("PreToolUse", tool_name=tool, tool_input={"command": what})
        if self.bypass and not always:
            return True
        self.asking, since = (tool, what), self.busy_since
        self.busy_since = None
        self.hooks.run("PermissionRequest", tool_name=tool, tool_input={"command": what})
        self.paint()
        self.hooks.run(
            "Notification",
            notification_type="permission_prompt",
            message=f"Claude needs your permission to use {tool}",
        )
        try:
            while True:
                for key in self.keys(None):
                    if key in ("1", "2", "\r"):
                        return True
                    if key in ("3", "\x1b", "\x03"):
                        raise Interrupted
        finally:
            self.asking, self.busy_since = None, since

    # -- turns ------------------------------------------------------------------------------------

    def turn(self, message: str) -> None:
        self.said.append("\n❯ " + message[:4000])
        self.transcript.user(message)
        self.hooks.run("UserPromptSubmit", prompt=message)
        self.busy_since = time.monotonic()
        try:
            answer = self.act(message)
        except Interrupted:
            self.said.append("  ⎿  Interrupted by user")
            self.transcript.user("[Request interrupted by user]")
            return
        finally:
            self.busy_since = None
        if answer is not None:
            self.say(answer)
            self.hooks.run("Stop", stop_hook_active=False, last_assistant_message=answer)

    def act(self, message: str) -> str | None:
        """The answer; None when the turn failed."""
        found = list(WORDS.finditer(message))
        word, rest = (found[-1][1], found[-1][2].strip()) if found else ("", "")
        if word in ERRORS:
            self.fail(*ERRORS[word], rest)
            return None
        if word == "RECALL":
            return "\n".join(
                ["You told me:", *(f"- {text.splitlines()[0]}" for text in self.transcript.asked()[:-1])]
            )
        if word in ("SLOW", "HANG"):
            self.pause(float(rest) if word == "SLOW" else LIFETIME)
        if word == "WRITE":
            file, _, text = rest.partition(" ")
            self.tool("Write", file, 'printf \'%s\\n\' "$2" >"$1"', file, text)
        if word in ("SH", "PERM"):
            self.tool("Bash", rest, rest, always=word == "PERM")
        if word == "STEPS":
            count, _, folder = rest.partition(" ")
            for number in range(1, int(count) + 1):
                place = f"{folder or '.'}/step-{number:02d}.txt"
                if not Path(place).exists():
                    self.tool("Write", place, 'mkdir -p "$(dirname "$1")" && echo done >"$1"', place)
                    self.pause(0.3)
        return "Done." if word else "I have read it."

    def tool(self, name: str, what: str, script: str, *words: str, always: bool = False) -> None:
        self.said.append(f"⏺ {name}({what})")
        use = self.transcript.tool_use(name, what)
        if not self.permitted(name, what, always=always):
            return
        self.paint()
        done = subprocess.run(
            ["/bin/sh", "-c", script, "sh", *words],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        told = (done.stdout + done.stderr).strip()[-2000:] or "(No content)"
        self.said.append(f"  ⎿  {told}")
        self.transcript.tool_result(use, told, failed=done.returncode != 0)
        self.hooks.run(
            "PostToolUse", tool_name=name, tool_input={"command": what}, tool_response={"stdout": told}
        )

    def fail(self, kind: str, words: str, rest: str) -> None:
        text = words.format(rest)
        self.said.append(f"\n  {text}")
        self.transcript.api_error(text)
        self.hooks.run("StopFailure", error_type=kind, error_message=text)

    def say(self, text: str) -> None:
        self.said.append(f"\n⏺ {text}")
        self.transcript.answer(text)

    def run(self, prompt: str | None) -> int:
        self.said.append("✻ Welcome to Claude Code!\n  /help for help, /status for your current setup")
        for text in self.transcript.asked():
            self.said.append("\n❯ " + text.splitlines()[0])
        self.hooks.run("SessionStart", source="resume" if self.transcript.resumed else "startup")
        if prompt:
            self.turn(prompt)
        while True:
            while self.queued:
                self.turn(self.queued.pop(0))
            self.paint()
            for key in self.keys(None):
                if key == "\x03" and self.leaving:
                    self.hooks.run("SessionEnd", reason="prompt_input_exit")
                    return 0
                self.leaving = key == "\x03"
                message = self.take(key)
                if message == "/exit":
                    self.hooks.run("SessionEnd", reason="prompt_input_exit")
                    return 0
                if message:
                    self.queued.append(message)


def main() -> int:
    words = argparse.ArgumentParser(allow_abbrev=False)
    for name in ("--session-id", "--resume", "--model", "--permission-mode"):
        words.add_argument(name)
    words.add_argument("--dangerously-skip-permissions", action="store_true")
    words.add_argument("prompt", nargs="?")
    options = words.parse_args()
    try:
        agent = Agent(options)
    except ValueError as no:
        print(no, file=sys.stderr)
        return 1
    before = termios.tcgetattr(sys.stdin)
    tty.setraw(sys.stdin)
    sys.stdout.write(f"\x1b[?2004h\x1b]0;✳ {config_folder().name}\x07")
    try:
        with contextlib.suppress(EOFError):
            return agent.run(options.prompt)
        return 0
    finally:
        sys.stdout.write("\x1b[?2004l")
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


if __name__ == "__main__":
    sys.exit(main())
