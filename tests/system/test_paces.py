"""A CLI put through its paces: real ones where they are installed, and what is told where one cannot be."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import closing
from pathlib import Path

import pytest

from hhmrs.config.fleet import LocalModel, Probe, Profile
from hhmrs.config.profiles import builtin_profiles
from hhmrs.controller.paces import ground
from hhmrs.controller.paces.course import Pace, paces
from hhmrs.controller.processes.processes import ProcessTable

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("HHMRS_AGENTS_CACHE") or ROOT / ".cache" / "agents")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of this test, for what is temporary."""
    folder = tmp_path / "paces"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def environ(place: Path) -> dict[str, str]:
    """The real CLIs first on PATH."""
    return {**os.environ, "PATH": f"{CACHE / 'bin'}:{os.environ['PATH']}"}


def gone_through(profile: Profile, environ: dict[str, str]) -> dict[str, Pace]:
    return {pace.name: pace for pace in paces(profile, environ)}


def need(name: str, environ: dict[str, str]) -> Profile:
    if shutil.which(name, path=environ["PATH"]) is None:
        pytest.skip(f"{name} is not installed; script/agents {name} installs it")
    return builtin_profiles()[name]


GONE_WITHIN = 5.0


def traces(place: Path) -> tuple[list[str], list[str]]:
    """Folders of ours that are left, and processes that were started in them."""
    said = subprocess.run(["ps", "-e", "-ww", "-o", "args="], capture_output=True, text=True, check=True)
    running = [line for line in said.stdout.splitlines() if str(place) in line]
    return [each.name for each in place.iterdir()], running


def left_in(place: Path) -> tuple[list[str], list[str]]:
    """The same once what was ended has had the time to be gone: a launcher outlives what it launched."""
    end = time.monotonic() + GONE_WITHIN
    while (left := traces(place)) != ([], []) and time.monotonic() < end:
        time.sleep(0.05)
    return left


def test_codex_goes_through_all_its_paces(environ: dict[str, str], place: Path) -> None:
    found = gone_through(need("codex", environ), environ)

    assert {name: pace.verdict for name, pace in found.items()} == dict.fromkeys(
        ("installed", "started", "prompt", "at rest", "file", "killed", "resumed", "refused"), "passed"
    ), found
    assert "401" in found["refused"].seen
    assert left_in(place) == ([], [])


def test_a_resume_without_the_conversation_is_seen(environ: dict[str, str]) -> None:
    codex = need("codex", environ).model_copy(update={"resume_args": ("-c", "model_verbosity=low")})

    resumed = gone_through(codex, environ)["resumed"]

    assert (resumed.verdict, resumed.seen) == (
        "failed",
        "the model was given 2 messages, and not the first of before",
    )


def test_a_test_that_is_broken_off_leaves_nothing(environ: dict[str, str], place: Path) -> None:
    with closing(paces(need("codex", environ), environ)) as going:
        while next(going).name != "started":
            pass
        assert traces(place)[1], "it runs by now"

    assert left_in(place) == ([], [])


def test_a_program_that_is_not_there_is_told_in_a_sentence() -> None:
    profile = Profile(name="x", command=("no-such-program-here",), local_model=LocalModel())
    (pace,) = paces(profile, {"PATH": os.environ["PATH"]})

    assert (pace.verdict, pace.seen) == (
        "failed",
        "no-such-program-here is not installed: there is no such program on PATH",
    )


def test_what_cannot_be_pointed_at_the_model_is_not_possible() -> None:
    told = gone_through(Profile(name="x", command=("sh",)), dict(os.environ))

    assert [pace.verdict for pace in told.values()] == ["passed", "not possible"]
    assert gone_through(Profile(name="shell"), {})["installed"].verdict == "not possible"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo last words; exit 7", "it ended"),
        ("read -r line", "not ready within 2 s"),
    ],
)
def test_one_that_does_not_come_up_is_told_with_its_words(
    environ: dict[str, str], place: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    monkeypatch.setattr("hhmrs.controller.paces.course.READY_WITHIN", 2.0)
    probe = Probe(output="never said")
    profile = Profile(name="x", command=("sh", "-c", script), ready=probe, local_model=LocalModel())

    told = gone_through(profile, environ)

    assert list(told) == ["installed", "started"]
    assert told["started"].verdict == "failed"
    assert said in told["started"].seen
    assert "exit 7" not in script or "last words" in told["started"].seen
    assert left_in(place) == ([], [])


def test_all_of_the_tree_is_killed(environ: dict[str, str]) -> None:
    """Also what left the tree, with a group and a session of its own."""
    left = "setsid sh -c 'sleep 1000; true' & sleep 1000"
    profile = Profile(name="x", command=("sh", "-c", f"{left}; true"))
    with ground.Ground(profile, LocalModel(), environ) as there:
        there.start()
        assert there.who is not None
        who, table = there.who, ProcessTable()
        assert there.until(lambda: len(table.tree(who, tag=there.token)) >= 4, 5)
        tree = table.tree(who, tag=there.token)
        assert there.kill() >= 4
        assert not any(map(table.alive, tree))


def test_nothing_of_the_users_own_reaches_it(environ: dict[str, str]) -> None:
    environ |= {"OPENAI_API_KEY": "a-real-key", "HOME": "/home/somebody"}
    say = 'env | grep -v SECRET > "$HOME/env"; read -r line'
    local = LocalModel(env={"ADDRESS": "{address}/v1"}, files={"a/b.toml": 'home = "{home}" {x}'})
    with ground.Ground(Profile(name="x", command=("sh", "-c", say)), local, environ) as there:
        there.start()
        written = there.home / "env"
        assert there.until(lambda: written.is_file() and "PWD=" in written.read_text(), 5)
        given = written.read_text()
        lines = given.splitlines()
        assert f"HOME={there.home}" in lines
        assert f"ADDRESS={there.model.address}/v1" in lines
        assert "a-real-key" not in given
        assert (there.home / "a/b.toml").read_text() == f'home = "{there.home}" {{x}}'
