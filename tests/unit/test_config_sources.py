"""Keys of a profile by which other sources are read: what is good, and what is refused where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from hhmrs.config.fleet import Profile, ScreenRule, StatusRule, TranscriptRule
from hhmrs.config.loading import ConfigError, load_fleet

HEAD = "fleet: f\nagents:\n  a: {profile: p, command: [x]}\nprofiles:\n  p:\n"


def profile(folder: Path, text: str) -> Profile:
    (folder / "hhmrs.yaml").write_text(f"{HEAD}    {text}\n", encoding="utf-8")
    return load_fleet(folder / "hhmrs.yaml").profiles["p"]


def test_a_profile_with_everything(tmp_path: Path) -> None:
    read = profile(
        tmp_path,
        "screens: {ask: {phase: busy, pattern: x, below: '^> ', resets: '(.*)'}}\n"
        "    transcripts: [{roots: ['${X}', '~/.x', '{repo}'],\n"
        "      file: 'a/*/{folder}/{session8}-{session}.jsonl', counts: yes,\n"
        "      folder: a.b, session: id, began: at, kept_open: true}]\n"
        "    status_files: [{pattern: 'agents/{agent}/**', kind: devlog}]\n"
        "    bookkeeping: [.x.history]",
    )
    assert read.screens == (ScreenRule(name="ask", phase="busy", pattern="x", below="^> ", resets="(.*)"),)
    rule = TranscriptRule(
        roots=("${X}", "~/.x", "{repo}"), file="a/*/{folder}/{session8}-{session}.jsonl", counts="yes",
        folder="a.b", session="id", began="at", kept_open=True,
    )  # fmt: skip
    assert read.transcripts == (rule,)
    assert read.status_files == (StatusRule(pattern="agents/{agent}/**", kind="devlog"),)
    assert read.bookkeeping == (".x.history",)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("transcripts: [{roots: [~/.x], file: ../x, counts: x}]", "leads out of its folder"),
        ("transcripts: [{roots: [~/.x], file: /etc/x, counts: x}]", "leads out of its folder"),
        ("transcripts: [{roots: [~/.x], file: 'x/{sesion}', counts: x}]", "{sesion} is no placeholder here"),
        ("transcripts: [{roots: ['{session}'], file: x, counts: x}]", "{session} is no placeholder here"),
        ("transcripts: [{roots: [], file: x, counts: x}]", "found an empty list"),
        ("transcripts: [{roots: [~/.x], file: x}]", "counts missing"),
        ("transcripts: [{roots: [~/.x], file: x, counts: '['}]", "is no regular expression"),
        ("transcripts: [{roots: ['${'], file: x, counts: x}]", "broken reference"),
        ("transcripts: [{roots: [~/.x], file: x, counts: x, kept_open: 1}]", "expected true or false"),
        ("status_files: [{pattern: a/../../x, kind: status}]", "leads out of its folder"),
        ("status_files: [{pattern: x, kind: letters}]", "expected one of status, devlog, inbox"),
        ("bookkeeping: [~/.x]", "leads out of its folder"),
        ("bookkeeping: ['{agent}']", "{agent} is no placeholder here"),
        ("screens: {x: {phase: idel, pattern: x}}", "did you mean"),
        ("screens: {x: {phase: idle, pattern: x, below: '('}}", "is no regular expression"),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        profile(tmp_path, text)
    assert why in str(caught.value)
    assert "hhmrs.yaml:6:" in str(caught.value)
    assert "profiles.p." in str(caught.value)
