"""What the scripted model does next, from the conversation alone.

The last line of the newest prompt that begins with one of these words says it; other prompts get a short
text.

    WRITE file text      writes the text into the file, by whichever tool is on offer
    SH command           runs the command
    PERM command         the same, asking for permission where the CLI has a way to
    TOOL name {json}     calls the tool of that name
    STEPS n dir [s]      writes n files into dir, one a tool call, s seconds apart
    RECALL               lists the prompts it was given
    SLOW n               talks for n seconds, a word a second
    HANG                 not a byte, until the connection is closed
    E401 E429 E500 E503 E529   these statuses; EQUOTA no money; ECTX conversation too long
    EUSAGE [n]           a usage limit that ends n seconds (an hour) after it was first met
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from .conversation import Call, Called, Conversation, Hang, Refuse, Reply, Returned, Said, Say, parsed
from .tools import by_name, sample, to_run, to_write

_LINE = re.compile(
    r"^(\"?)(WRITE|SH|PERM|TOOL|STEPS|RECALL|SLOW|HANG|EUSAGE|EQUOTA|ECTX|E401|E429|E500|E503|E529)\b"
    r"[ \t]*(.*?)\1[ \t]*$",
    re.MULTILINE,
)
"""`opencode run` puts a prompt between quotes."""
HOUR = 3600.0
LONGEST = 3600.0
MOST_STEPS = 1000
LONGEST_LISTED = 200
_WHOLE_FILES = "*file listing*"
_EDIT_BLOCKS = "SEARCH/REPLACE"
"""How aider, which offers no tools, tells the model to answer: with whole files, or with blocks."""

FirstMet = Callable[[str], float]
"""When a line of script was first met, Unix seconds."""


def next_step(conversation: Conversation, now: float, first_met: FirstMet) -> Reply:
    """The reply to a conversation. `now`: Unix seconds."""
    if conversation.answer_schema is not None:
        return Say(json.dumps(sample(conversation.answer_schema)))
    word, rest = script_line(conversation)
    if not word or is_aside(conversation):
        return Say(_short(conversation))
    if word in {"WRITE", "SH", "PERM", "TOOL"}:
        return _tool(conversation, word, rest)
    if word == "STEPS":
        return _steps(conversation, rest)
    if word == "RECALL":
        return Say(recalled(conversation))
    if word == "SLOW":
        seconds = round(_number(rest, 5.0))
        return Say("".join(f"word{place} " for place in range(1, seconds + 1)) + "done.", 1.0)
    if word == "HANG":
        return Hang()
    if word == "EUSAGE":
        ends = first_met(f"{word} {rest}") + _number(rest, HOUR)
        return Refuse(word, int(ends)) if now < ends else Say("The limit is over; I can go on.")
    return Refuse(word)


def script_line(conversation: Conversation) -> tuple[str, str]:
    """The word and the rest of the line that counts; empty without one."""
    prompts = conversation.prompts
    found = _LINE.findall(prompts[-1]) if prompts else []
    return found[-1][1:] if found else ("", "")


def is_aside(conversation: Conversation) -> bool:
    """Whether the CLI asks for itself, such as for a title: instructions, but no tools, and not aider."""
    return bool(conversation.system) and not conversation.offered and not _edit_format(conversation)


def _edit_format(conversation: Conversation) -> str:
    told = conversation.system + "\n".join(conversation.users[-2:])
    return next((form for form in (_WHOLE_FILES, _EDIT_BLOCKS) if form in told), "")


def recalled(conversation: Conversation) -> str:
    """The prompts as a numbered list, each on one line and cut."""
    lines = [" ".join(prompt.split())[:LONGEST_LISTED] for prompt in conversation.prompts]
    return "You told me:\n" + "\n".join(f"{place}. {line}" for place, line in enumerate(lines, 1))


def _short(conversation: Conversation) -> str:
    prompts = conversation.prompts
    first = " ".join(prompts[-1].split())[:40] if prompts else "nothing"
    return f"Understood: {first}"


def _number(text: str, otherwise: float) -> float:
    first = text.split(maxsplit=1)[0] if text.strip() else ""
    if not re.fullmatch(r"\d{1,6}(?:\.\d{1,3})?", first):
        return otherwise
    return min(float(first), LONGEST)


def _tool(conversation: Conversation, word: str, rest: str) -> Reply:
    """The one tool call of a prompt; once its result is there, a text that ends the turn."""
    if results := [each.text for each in conversation.since_prompt if isinstance(each, Returned)]:
        said = " ".join(results[-1].split())[:100]
        return Say(
            f"Done: {word} {rest[:60]}. The tool said: {said}" if said else f"Done: {word} {rest[:60]}."
        )
    name, _, text = rest.partition(" ")
    call: Call | None
    if word == "WRITE":
        call = to_write(conversation, name, text + "\n")
        if call is None:
            return Say(_as_answer(conversation, {name: text + "\n"}))
    elif word == "TOOL":
        call = by_name(conversation, name, parsed(text))
    else:
        call = to_run(conversation, rest, ask=word == "PERM")
        if call is None and _edit_format(conversation):
            return Say(f"Run this:\n\n```bash\n{rest}\n```\n")
    return call or Say(f"I was offered no tool for {word}.")


def _as_answer(conversation: Conversation, files: dict[str, str]) -> str:
    """Files in the answer itself, the way aider reads them."""
    if _edit_format(conversation) == _EDIT_BLOCKS:
        return "".join(
            f"{name}\n```\n<<<<<<< SEARCH\n=======\n{text}>>>>>>> REPLACE\n```\n\n"
            for name, text in files.items()
        )
    return "".join(f"{name}\n```\n{text}```\n\n" for name, text in files.items())


def _steps(conversation: Conversation, rest: str) -> Reply:
    """The next file of the task that neither this conversation nor the prompt's report names as written."""
    found = re.fullmatch(r"(\d{1,4})\s+(\S+)(?:\s+(\S+))?.*", rest)
    if found is None:
        return Say("STEPS wants a number and a folder.")
    count, folder = min(int(found[1]), MOST_STEPS), found[2].rstrip("/")
    done = written(conversation)
    left = [file for place in range(1, count + 1) if (file := f"{folder}/step-{place:02}.txt") not in done]
    if not left:
        return Say(f"All {count} files are written.")
    content = f"{left[0]} of {count}\n"
    call = to_write(conversation, left[0], content)
    if call is None:
        return Say(_as_answer(conversation, {left[0]: content}))
    return Call(call.tool, call.arguments, call.freeform, _number(found[3] or "", 0.0))


def written(conversation: Conversation) -> frozenset[str]:
    """The files of STEPS known to be there: by an answered call, or by an answer or a prompt naming them."""
    answered = {each.id for each in conversation.entries if isinstance(each, Returned)}
    told: list[str] = []
    for each in conversation.entries:
        if isinstance(each, Said) and each.role != "system":
            told.append(each.text)
        elif isinstance(each, Called) and each.id in answered:
            told.append(json.dumps(each.arguments) + (each.freeform or ""))
    text = "\n".join(told)
    names = re.findall(r"[\w./-]*step-\d{2,4}\.txt", text)
    folder = conversation.folder.rstrip("/") + "/"
    return frozenset(name.removeprefix(folder).removeprefix("./") for name in names)
