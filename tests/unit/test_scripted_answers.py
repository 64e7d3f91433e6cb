"""What the scripted model answers to a conversation: script words, tools of each client, steps."""

from __future__ import annotations

from typing import Any

import pytest

from hhmrs.controller.scripted_model.conversation import (
    Call,
    Called,
    Conversation,
    Hang,
    Refuse,
    Returned,
    Said,
    Say,
    Tool,
)
from hhmrs.controller.scripted_model.script import next_step
from hhmrs.controller.scripted_model.tools import sample


def schema(*required: str, **kinds: Any) -> dict[str, Any]:
    properties = {name: kind if isinstance(kind, dict) else {"type": kind} for name, kind in kinds.items()}
    return {"type": "object", "properties": properties, "required": list(required)}


CODEX = Tool(
    "exec_command", schema("cmd", cmd="string", sandbox_permissions="string", justification="string")
)
OLD_CODEX = Tool("shell", schema("command", command={"type": "array"}, with_escalated_permissions="boolean"))
GEMINI = Tool("write_file", schema("file_path", "content", file_path="string", content="string"))
GEMINI_SHELL = Tool("run_shell_command", schema("command", command="string", description="string"))
QWEN_SHELL = Tool(
    "run_shell_command", schema("command", "is_background", command="string", is_background="boolean")
)
OPENCODE = Tool("write", schema("filePath", "content", filePath="string", content="string"))
OPENCODE_SHELL = Tool("bash", schema("command", "description", command="string", description="string"))
COPILOT = Tool("create", schema("path", "file_text", path="string", file_text="string"))
PATCH = Tool("apply_patch", {}, freeform=True)
SYSTEM = Said("system", "You are an agent.\nWorking directory: /work/here\nBe brief.")


def asked(*entries: Said | Called | Returned | str, tools: tuple[Tool, ...] = ()) -> Conversation:
    said = [Said("user", each) if isinstance(each, str) else each for each in entries]
    return Conversation(tuple(said), tools)


def step(conversation: Conversation, now: float = 100.0, met: float = 100.0) -> Any:
    return next_step(conversation, now, lambda _: met)


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        (GEMINI, {"file_path": "/work/here/a b/x.txt", "content": "häl lo\n"}),
        (OPENCODE, {"filePath": "/work/here/a b/x.txt", "content": "häl lo\n"}),
        (COPILOT, {"path": "/work/here/a b/x.txt", "file_text": "häl lo\n"}),
    ],
)
def test_a_file_is_written_by_the_tool_on_offer(tool: Tool, arguments: dict[str, str]) -> None:
    file = arguments[next(iter(arguments))].removeprefix("/work/here/").replace(" ", "-")
    reply = step(asked(SYSTEM, f"please\nWRITE {file} häl lo", tools=(CODEX, tool)))

    place, content = arguments.values()
    assert isinstance(reply, Call)
    assert reply.tool is tool
    assert list(reply.arguments.values()) == [place.replace("a b", "a-b"), content]
    assert list(reply.arguments) == list(arguments)


def test_without_a_known_folder_a_file_is_written_by_the_shell() -> None:
    reply = step(asked("WRITE out/x.txt it's", tools=(CODEX, GEMINI)))

    assert isinstance(reply, Call)
    assert reply.tool is CODEX
    assert reply.arguments == {"cmd": "mkdir -p out && printf %s 'it'\"'\"'s\n' > out/x.txt"}


def test_a_patch_is_the_last_resort() -> None:
    reply = step(asked("WRITE x.txt one", tools=(PATCH,)))

    assert isinstance(reply, Call)
    assert reply.freeform == "*** Begin Patch\n*** Add File: x.txt\n+one\n*** End Patch\n"


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        (CODEX, {"cmd": "ls -l"}),
        (OLD_CODEX, {"command": ["bash", "-lc", "ls -l"]}),
        (GEMINI_SHELL, {"command": "ls -l", "description": "Runs the command of the script"}),
        (QWEN_SHELL, {"command": "ls -l", "is_background": False}),
        (OPENCODE_SHELL, {"command": "ls -l", "description": "Runs the command of the script"}),
    ],
)
def test_a_command_is_run_in_the_shape_of_each_client(tool: Tool, arguments: dict[str, Any]) -> None:
    reply = step(asked(SYSTEM, "SH ls -l", tools=(tool,)))

    assert isinstance(reply, Call)
    assert reply.arguments == arguments


def test_permission_is_asked_for_where_the_tool_has_a_word_for_it() -> None:
    reply = step(asked("PERM ls", tools=(CODEX,)))
    older = step(asked("PERM ls", tools=(OLD_CODEX,)))

    assert reply.arguments["sandbox_permissions"] == "require_escalated"
    assert reply.arguments["justification"]
    assert older.arguments["with_escalated_permissions"] is True


def test_after_the_result_the_turn_ends_with_a_text() -> None:
    call = Called("c1", "exec_command", {"cmd": "ls"})
    reply = step(asked("SH ls", call, Returned("c1", "one\ntwo"), tools=(CODEX,)))

    assert reply == Say("Done: SH ls. The tool said: one two")


def test_the_last_line_of_the_newest_prompt_counts() -> None:
    before: list[Said | Called | Returned | str] = ["HANG", Said("assistant", "-")]
    context = "<environment_context>\n<cwd>/x</cwd>\nHANG\n</environment_context>"

    assert step(asked(*before, "E500\nsome words\nE401\nmore words", context)) == Refuse("E401")
    assert step(asked(*before, "not HANG\nWRITER of things\n EQUOTA")) == Say(
        "Understood: not HANG WRITER of things EQUOTA"
    )
    assert step(asked('"HANG"')) == Hang(), "as `opencode run` puts it"
    assert step(asked(context)) == Say("Understood: nothing")


def test_questions_that_a_client_asks_for_itself_meet_no_script() -> None:
    title = asked(Said("system", "You write a title for the conversation."), "HANG")
    chosen = Conversation(
        (Said("user", "HANG"),), answer_schema=schema("next", next={"enum": ["model", "user"]})
    )

    assert step(title) == Say("Understood: HANG")
    assert step(chosen) == Say('{"next": "user"}')
    assert step(asked("HANG")) == Hang(), "a bare client has no instructions"


def test_a_client_without_tools_gets_the_file_in_the_answer() -> None:
    whole = Said("system", "You MUST use this *file listing* format")
    blocks = Said("system", "Use *SEARCH/REPLACE block*s")

    assert step(asked(whole, "WRITE a.txt one")) == Say("a.txt\n```\none\n```\n\n")
    assert "<<<<<<< SEARCH\n=======\none\n>>>>>>> REPLACE" in step(asked(blocks, "WRITE a.txt one")).text


def test_steps_are_told_from_what_was_done() -> None:
    def calls(*places: int, answered: bool = True) -> list[Said | Called | Returned | str]:
        made: list[Said | Called | Returned | str] = []
        for place in places:
            made.append(Called(f"c{place}", "write", {"filePath": f"/work/here/d/step-{place:02}.txt"}))
            made += [Returned(f"c{place}", "ok")] if answered else []
        return made

    def next_file(*entries: Said | Called | Returned | str) -> str:
        reply = step(asked(SYSTEM, *entries, tools=(OPENCODE,)))
        return str(reply.arguments["filePath"]) if isinstance(reply, Call) else reply.text

    task = "STEPS 3 d"
    assert next_file(task) == "/work/here/d/step-01.txt"
    assert next_file(task, *calls(1)) == "/work/here/d/step-02.txt"
    assert next_file(task, *calls(1), *calls(2, answered=False)) == "/work/here/d/step-02.txt"
    assert next_file(task, *calls(1), "go on", f"- d/step-02.txt\n{task}") == "/work/here/d/step-03.txt"
    assert next_file(task, *calls(1, 2, 3)) == "All 3 files are written."
    assert step(asked(SYSTEM, "STEPS 3 d 2.5", tools=(OPENCODE,))).delay == 2.5
    assert step(asked("STEPS many d")) == Say("STEPS wants a number and a folder.")


def test_a_usage_limit_ends() -> None:
    limited = asked("EUSAGE 60")

    assert step(limited, now=100.0, met=100.0) == Refuse("EUSAGE", 160)
    assert step(limited, now=159.0, met=100.0) == Refuse("EUSAGE", 160)
    assert isinstance(step(limited, now=160.0, met=100.0), Say)


def test_recall_lists_the_prompts() -> None:
    reply = step(asked("one\ntwo", Said("assistant", "-"), "<x>\nnot this\n</x>", "RECALL"))

    assert reply == Say("You told me:\n1. one two\n2. RECALL")


def test_a_tool_is_called_by_the_end_of_its_name() -> None:
    beat = Tool("mcp__hhmrs__heartbeat", schema("state", state="string"))
    reply = step(asked('TOOL heartbeat {"progress": 0.5}', tools=(beat,)))

    assert reply.arguments == {"state": "scripted", "progress": 0.5}
    assert step(asked("TOOL other {", tools=(beat,))) == Say("I was offered no tool for TOOL.")


@pytest.mark.parametrize("kind", [["null", "string"], [], "nonsense", None, {"a": 1}])
def test_no_schema_is_too_odd(kind: object) -> None:
    assert sample({"type": kind}) in {None, "scripted"}


def test_numbers_are_bounded() -> None:
    assert len(step(asked("SLOW 999999")).text.split()) == 3601
    assert step(asked("SLOW x")).text.startswith("word1 ")
    assert "of 1000" in str(step(asked("STEPS 9999 d", tools=(CODEX,))).arguments)
