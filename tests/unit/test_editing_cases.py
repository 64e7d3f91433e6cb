"""Changes of a fleet file that a person might look twice at, byte by byte."""

from __future__ import annotations

import pytest

from hhmrs.config.editing import CannotEdit, Path, Value, as_written, edit
from hhmrs.config.nodes import Mapping, Scalar, read_nodes

FILE = """\
# top
fleet: n          # name
policy:           # for all
  mode: armed     # or observe
  # hint: 1
  backoff: {initial: 1s, max: 8s}   # waits
  recovery:
    stalled:      # gently
    - nudge       # first
    - restart
  keep:
    age: 3d
    # about keep

agents:
  a:
    command: [x]
    prompt: |+
      hello

  b: {command: [y], policy: {task_deadline: 3h}}
"""
P: Path = ("policy",)


@pytest.mark.parametrize(
    ("path", "value", "gone", "come"),
    [
        ((*P, "mode"), "observe", "  mode: armed     # or observe", "  mode: observe     # or observe"),
        ((*P, "backoff", "factor"), "3", "{initial: 1s, max: 8s}", "{initial: 1s, max: 8s, factor: 3}"),
        ((*P, "backoff", "initial"), "2s", "{initial: 1s,", "{initial: 2s,"),
        ((*P, "recovery", "stalled"), ("nudge",),
         "    stalled:      # gently\n    - nudge       # first\n    - restart\n",
         "    stalled: [nudge]      # gently\n"),
        ((*P, "kill_grace"), "9s", "    # about keep\n", "    # about keep\n  kill_grace: 9s\n"),
        (("notify",), ("discord://x",), "    # about keep\n",
         '    # about keep\nnotify: ["discord://x"]\n'),
        (("agents", "a", "policy", "mode"), "observe", "      hello\n\n",
         "      hello\n\n    policy: {mode: observe}\n"),
        (("agents", "b", "policy", "task_deadline"), "4h", "{task_deadline: 3h}", "{task_deadline: 4h}"),
        (("agents", "b", "policy", "cascade", "share"), "20%", "{task_deadline: 3h}",
         "{task_deadline: 3h, cascade: {share: 20%}}"),
    ],
)  # fmt: skip
def test_set(path: Path, value: Value, gone: str, come: str) -> None:
    assert FILE.count(gone) == 1
    assert edit(FILE, path, value) == FILE.replace(gone, come)


@pytest.mark.parametrize(
    ("path", "gone", "come"),
    [
        ((*P, "mode"), "  mode: armed     # or observe\n", ""),
        ((*P, "backoff", "max"), "{initial: 1s, max: 8s}", "{initial: 1s}"),
        ((*P, "backoff", "initial"), "{initial: 1s, max: 8s}", "{max: 8s}"),
        ((*P, "recovery", "stalled"),
         "  recovery:\n    stalled:      # gently\n    - nudge       # first\n    - restart\n", ""),
        (("agents", "b", "policy", "task_deadline"), ", policy: {task_deadline: 3h}", ""),
    ],
)  # fmt: skip
def test_taken_away(path: Path, gone: str, come: str) -> None:
    assert FILE.count(gone) == 1
    assert edit(FILE, path, None) == FILE.replace(gone, come)


def test_an_emptied_policy_block_keeps_its_comments() -> None:
    text = "policy:   # for all\n  # hint\n  mode: armed\nfleet: n\n"
    emptied = edit(text, ("policy", "mode"), None)
    assert emptied == "policy: {}   # for all\n  # hint\nfleet: n\n"
    assert (
        edit(emptied, ("policy", "mode"), "armed")
        == "policy: {mode: armed}   # for all\n  # hint\nfleet: n\n"
    )


def test_a_policy_that_is_not_there_comes_behind_the_name() -> None:
    assert edit("# c\nfleet: n # x\nagents: {a: {command: [x]}}", ("policy", "keep", "age"), "1d") == (
        "# c\nfleet: n # x\npolicy:\n  keep: {age: 1d}\nagents: {a: {command: [x]}}"
    )


def test_a_key_without_a_value_gets_its_block() -> None:
    assert edit("fleet: n\npolicy: # x\nagents: {}\n", ("policy", "mode"), "armed") == (
        "fleet: n\npolicy: # x\n  mode: armed\nagents: {}\n"
    )


def test_the_ends_of_lines_stay() -> None:
    text = FILE.replace("\n", "\r\n")
    assert edit(text, (*P, "kill_grace"), "9s").replace("\r\n", "\n") == edit(FILE, (*P, "kill_grace"), "9s")
    assert edit("fleet: n", ("policy", "mode"), "armed") == "fleet: n\npolicy:\n  mode: armed"


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("fleet: n\npolicy: &p {mode: armed}\nagents: {a: {policy: *p}}\n", ("policy", "mode"), 2),
        (
            "fleet: n\npolicy: &p {mode: armed}\nagents: {a: {policy: *p}}\n",
            ("agents", "a", "policy", "mode"),
            3,
        ),
        ("fleet: n\npolicy: {kill_grace: &d 5s, verify_within: *d}\n", ("policy", "kill_grace"), 2),
        ("fleet: n\npolicy: armed\n", ("policy", "mode"), 2),
    ],
)
def test_what_cannot_be_done_alone_is_refused_with_its_place(text: str, path: Path, line: int) -> None:
    with pytest.raises(CannotEdit, match="by hand") as refused:
        edit(text, path, "observe")
    assert refused.value.line == line


def test_an_alias_that_is_the_value_itself_may_go() -> None:
    text = "fleet: n\npolicy: {kill_grace: &d 5s, verify_within: *d}\n"
    assert edit(text, ("policy", "verify_within"), "9s") == text.replace("*d", "9s")


@pytest.mark.parametrize("text", ["", "- a\n", "a: 1\na: 2\n", "a: [", "fleet: !x n\n"])
def test_a_text_that_is_no_fleet_file_is_refused(text: str) -> None:
    with pytest.raises(CannotEdit):
        edit(text, ("policy", "mode"), "observe")


def test_what_is_not_written_cannot_be_taken_away() -> None:
    with pytest.raises(CannotEdit, match="not written"):
        edit(FILE, (*P, "kill_grace"), None)


@pytest.mark.parametrize(
    "typed", ["a: b", "x # y", "*it", "null", "]", '"', "\\", "\n", "\x07", "😀", "- a", ""]
)
def test_whatever_is_typed_is_one_scalar(typed: str) -> None:
    after = edit(FILE, (*P, "mode"), typed)
    node, flaws = read_nodes(after)
    assert not flaws
    for key in (*P, "mode"):
        assert isinstance(node, Mapping)
        node = node.entries[key][1]
    assert isinstance(node, Scalar)
    assert node.value == typed
    assert as_written(typed).isprintable()
