"""Rules of the house that no linter knows.

A silenced warning names its rule and gives its reason, behind it (`noqa: RULE - why`) or in the line above.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

SILENCED = re.compile(r"#\s*(noqa|type:\s*ignore|pyright:\s*ignore)\b(?P<rest>.*)")
REASONED = re.compile(r"^(:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*|\s*\[[\w, -]+\])\s+[#-]?\s*\S.{3,}")
NAMED = re.compile(r"^(:\s*[A-Z]+\d+|\s*\[[\w, -]+\])")
UNSPEAKING = {
    "base",
    "common",
    "data",
    "handler",
    "helper",
    "helpers",
    "info",
    "manager",
    "misc",
    "util",
    "utils",
}
IMPURE_CALLS = {"open", "input", "print", "exec", "eval", "__import__", "breakpoint"}


def calls(file: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), filename=str(file))):
        if isinstance(node, ast.Call):
            yield node


def comments(file: Path) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(file.read_text(encoding="utf-8")).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def test_no_command_goes_through_a_shell(python_files: list[Path]) -> None:
    shells = [
        f"{file}:{call.lineno}"
        for file in python_files
        for call in calls(file)
        if any(
            word.arg == "shell" and not (isinstance(word.value, ast.Constant) and word.value.value is False)
            for word in call.keywords
        )
        or ast.unparse(call.func)
        in {"os.system", "os.popen", "create_subprocess_shell", "asyncio.create_subprocess_shell"}
    ]

    assert shells == []


def test_every_silenced_warning_names_its_rule_and_its_reason(python_files: list[Path]) -> None:
    bare: list[str] = []
    for file in python_files:
        lines = file.read_text(encoding="utf-8").splitlines()
        for line, comment in comments(file):
            found = SILENCED.search(comment)
            explained = line > 1 and lines[line - 2].lstrip().startswith("# ")
            if found and not (NAMED if explained else REASONED).match(found["rest"]):
                bare.append(f"{file}:{line} {comment}")

    assert bare == []


def test_module_names_say_what_is_in_them(sources: list[Path]) -> None:
    vague = [str(file) for file in sources if UNSPEAKING & set(file.stem.split("_"))]

    assert vague == []


def test_class_names_say_what_they_are(sources: list[Path]) -> None:
    vague = [
        f"{file}:{node.lineno} {node.name}"
        for file in sources
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        and re.search(r"(Manager|Handler|Helper|Util|Utils|Misc)$", node.name)
    ]

    assert vague == []


def test_healing_touches_nothing_outside(root: Path) -> None:
    """The import contracts keep clocks and files away; these are the doors that need no import."""
    touched = [
        f"{file}:{call.lineno} {ast.unparse(call.func)}"
        for file in sorted((root / "healing").rglob("*.py"))
        for call in calls(file)
        if ast.unparse(call.func) in IMPURE_CALLS
        or re.search(r"\.(now|today|utcnow)$", ast.unparse(call.func))
    ]

    assert touched == []


def test_tests_do_not_sleep_in_place_of_waiting(root: Path) -> None:
    """`sleep(literal)` outside a loop is a guess about time; polling with a deadline is a loop."""
    guesses = []
    for file in sorted((root / "tests").rglob("test_*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        looped = {
            id(inner)
            for loop in ast.walk(tree)
            if isinstance(loop, ast.While | ast.For | ast.AsyncFor)
            for inner in ast.walk(loop)
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or id(node) in looped:
                continue
            if (
                ast.unparse(node.func) in {"time.sleep", "sleep", "asyncio.sleep"}
                and ast.unparse(node.args[0]) != "0"
            ):
                guesses.append(f"{file}:{node.lineno} {ast.unparse(node)}")

    assert guesses == []


def test_no_two_test_files_share_a_name(root: Path) -> None:
    names = [file.name for file in (root / "tests").rglob("test_*.py")]

    assert sorted(names) == sorted(set(names))


def test_tests_are_no_packages(root: Path) -> None:
    assert list((root / "tests").rglob("__init__.py")) == []


def test_one_place_says_on_which_seat_an_agent_runs(sources: list[Path], root: Path) -> None:
    """`healing/seats.py` knows of seats by hand too; the simulated world stands for tmux, and runs what it is
    told to."""
    knowing = {root / "healing" / "seats.py", root / "healing" / "simulate" / "world.py"}
    guessed = [
        f"{file}:{node.lineno}"
        for file in sources
        if file not in knowing
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "seats"
        and not isinstance(node.slice, ast.Constant | ast.Slice)
    ]

    assert guessed == []
