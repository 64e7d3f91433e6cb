"""Whatever bytes a fleet file holds, loading gives a fleet or problems with a place, and nothing else."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hhmrs.config.durations import format_duration, parse_duration
from hhmrs.config.entries import AGENT_SHAPES
from hhmrs.config.fleet import FleetSpec
from hhmrs.config.loading import ConfigError, load_fleet
from hhmrs.config.nodes import plain_value, read_nodes
from hhmrs.config.references import UnsetVariable, resolve_references, well_formed
from hhmrs.config.template import default_fleet_name

VALID = """\
fleet: nightly
policy: {mode: armed, heartbeat_interval: 30s, backoff: {initial: 1s, factor: 2}, cascade: {share: 30%}}
notify: ["discord://${HOOK}"]
agents:
  architect: {profile: claude, workspace: .}
  dir-code: &it
    parent: architect
    profile: codex
    model: some-model
    alternates: [{profile: opencode, model: "m"}, {env: {A: "${B}"}}]
    workspace: work/code
    prompt: |
      Build the parser
      described in SPEC.md
    ready: {output: 'a|(b)'}
    policy: {recovery: {stalled: [nudge, restart]}, testing: true}
  pool: {parent: dir-code, command: [sh, -c, 'sleep 1'], count: 3}
profiles:
  own: {command: [x], screens: {w: {phase: waiting, pattern: '\\d+'}}, exits: [{cause: oom, pattern: x}]}
"""
PIECES = [
    *re.findall(r"[\w-]+|[^\w\s]|\s+", VALID),
    *["!!python/object:x", "*it", "&it ", "<<: *it", "null", "~", "true", "NO", "012", "-1", "1e999", ".inf"],
    *["\t", "\0", "\x85", "\u2028", "\ufeff", "\ud7ff", "😀", '"\\ud800"', '"\\x00"', "9" * 40, "(" * 500],
    *["? ", "- " * 40, "[" * 40, "{a: " * 40, "---\n", "...\n", "%YAML 9.9\n", "../..", "/etc", "~/x"],
]


@pytest.fixture(scope="module")
def file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder).resolve() / "hhmrs.yaml"


def loads_or_says_where(file: Path, raw: bytes) -> FleetSpec | None:
    file.write_bytes(raw)
    try:
        fleet = load_fleet(file)
    except ConfigError as error:
        problems = error.problems
    else:
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}", fleet.fleet)
        assert fleet.agents, "a fleet without agents is a problem"
        assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", agent) for agent in fleet.agents)
        return fleet
    assert problems
    assert list(problems) == sorted(set(problems))
    lines = sum(map(raw.count, (b"\n", b"\r", b"\xc2\x85", b"\xe2\x80"))) + 2
    for problem in problems:
        assert 1 <= problem.line <= lines
        assert problem.col >= 1
        assert str(problem).isprintable()
        assert "expected" in problem.message
        assert len(problem.message) < 2000
    return None


def test_the_file_that_is_mutated_is_valid(file: Path) -> None:
    assert loads_or_says_where(file, VALID.encode()) is not None


@given(raw=st.binary(max_size=300))
def test_any_bytes(file: Path, raw: bytes) -> None:
    spec = loads_or_says_where(file, raw)
    assert spec is None or b"agents" in raw


@given(parts=st.lists(st.sampled_from(PIECES), max_size=60))
def test_yaml_like_text(file: Path, parts: list[str]) -> None:
    text = "".join(parts)
    spec = loads_or_says_where(file, text.encode("utf-8", "surrogatepass"))
    assert spec is None or "agents" in text


@st.composite
def mutations(draw: st.DrawFn) -> str:
    text = VALID
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        text = text[:start] + draw(st.sampled_from(PIECES) | st.text(max_size=4)) + text[end:]
    return text


@given(text=mutations())
def test_mutations_of_a_valid_file(file: Path, text: str) -> None:
    spec = loads_or_says_where(file, text.encode("utf-8", "surrogatepass"))
    if spec is None:
        return
    seen: set[str] = set()
    for agent in spec.agents.values():
        assert agent.parent is None or agent.parent in seen
        seen.add(agent.id)
        assert agent.workspace.is_relative_to(file.parent) or "allow_outside" in text
        assert set(agent.policy.recovery) == set(spec.policy.recovery)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(PIECES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(PIECES), inner, max_size=3),
    max_leaves=6,
)


TOP = ["fleet", "policy", "notify", "profiles"]


@given(key=st.sampled_from([*TOP, *AGENT_SHAPES]), value=values)
def test_any_value_under_any_key(file: Path, key: str, value: object) -> None:
    agent: dict[str, object] = {"command": ["x"]} | ({} if key in TOP else {key: value})
    document: dict[str, object] = {"fleet": "f", "agents": {"a": agent}}
    if key in TOP:
        document[key] = value
    raw = yaml.safe_dump(document, allow_unicode=True).encode("utf-8", "surrogatepass")
    spec = loads_or_says_where(file, raw)
    if spec is not None:
        assert {agent.rpartition("-")[0] or agent for agent in spec.agents} == {"a"}
        assert key != "fleet" or spec.fleet == value


@given(text=st.text())
def test_nodes_never_raise(text: str) -> None:
    for loader in (yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        root, flaws = read_nodes(text, loader)
        assert root is None or root.line >= 1
        assert all(flaw.line >= 1 and flaw.col >= 1 for flaw in flaws)


@given(text=st.text(max_size=40))
def test_scalars_are_always_something(text: str) -> None:
    assert isinstance(plain_value(text), (str, int, float, bool, type(None)))


@given(milliseconds=st.integers(1, 10**9))
def test_durations_come_back(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)


@given(text=st.text(alphabet="$" + "{}AB_ x", max_size=30))
def test_references_are_total(text: str) -> None:
    try:
        resolve_references(text, {"A": "1", "AB": "3", "_": "4"})
        named = None
    except UnsetVariable as error:
        named = error.name
    assert named is None or f"${{{named}}}" in text
    assert well_formed(text) or "${" in text


@given(name=st.text(min_size=1, max_size=60).filter(lambda name: "/" not in name and "\0" not in name))
def test_every_folder_has_a_fleet_name(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}", default_fleet_name(Path("/nowhere") / name))
