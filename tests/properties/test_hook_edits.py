"""Any JSON configuration, laid out in any way: hooks go in and come out, and the rest is as it was."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hhmrs.controller.hooks.editing import installed, removed, wired
from hhmrs.controller.hooks.installing import Wiring
from hhmrs.controller.hooks.records import Records
from hhmrs.controller.hooks.table import KINDS

NAMES = st.one_of(st.sampled_from(["hooks", "Stop", "a", 'q"', "\\"]), st.text(max_size=4))
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)
ENTRY = st.fixed_dictionaries(
    {
        "hooks": st.lists(
            st.fixed_dictionaries({"type": st.just("command"), "command": st.text(max_size=9)}), max_size=2
        )
    }
)
EVENTS = st.sampled_from(["Stop", "PostToolUse", "SessionStart", "Other"])
HOOKS = st.dictionaries(EVENTS, st.lists(ENTRY | VALUES, max_size=2), max_size=3)
CONFIGS = st.tuples(st.dictionaries(NAMES, VALUES, max_size=4), st.none() | HOOKS).map(
    lambda both: (
        {k: v for k, v in both[0].items() if k != "hooks"} | ({} if both[1] is None else {"hooks": both[1]})
    )
)
LAYOUT = st.sampled_from([None, 0, 1, 2, 4, "\t"])
KIND = st.sampled_from(["claude", "codex", "gemini", "qwen"])
ENDS = st.sampled_from(["", "\n", "\r\n", "  \n\n"])


@st.composite
def texts(draw: st.DrawFn) -> str:
    text = json.dumps(draw(CONFIGS), indent=draw(LAYOUT), ensure_ascii=draw(st.booleans()))
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return draw(st.sampled_from(["", " ", "\n"])) + text + draw(ENDS)


@settings(max_examples=150, deadline=None)
@given(texts(), KIND)
def test_in_and_out_leaves_what_was_there(text: str, kind: str) -> None:
    with_ours = installed(text, KINDS[kind])
    assert set(wired(with_ours)) == set(KINDS[kind].wired)
    assert installed(with_ours, KINDS[kind]) == with_ours
    after, before = json.loads(with_ours), json.loads(text)
    assert {k: v for k, v in after.items() if k != "hooks"} == {
        k: v for k, v in before.items() if k != "hooks"
    }
    for event, groups in before.get("hooks", {}).items():
        assert after["hooks"][event][: len(groups)] == groups
    assert json.loads(removed(with_ours, text)) == before


@settings(max_examples=60, deadline=None)
@given(texts(), KIND, st.integers(1, 2))
def test_on_the_disk_it_is_the_same_byte_for_byte(text: str, kind: str, times: int) -> None:
    with tempfile.TemporaryDirectory() as root:
        wiring = Wiring(KINDS[kind], {"HOME": root}, Records(Path(root) / "state"))
        wiring.path.parent.mkdir()
        content = text.encode("utf-8", "surrogatepass")
        wiring.path.write_bytes(content)
        for _ in range(times):
            wiring.install(wiring.installing())
        assert wiring.path.read_bytes() != content
        wiring.remove(wiring.removing())
        assert wiring.path.read_bytes() == content
        assert sorted(Path(root).iterdir()) in (
            [wiring.path.parent],
            [wiring.path.parent, Path(root) / "state"],
        )
