"""The tree as it is packed, and the tree as it is installed, for the tests of this folder."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("config", "controller", "healing", "tui")
LEFT_BEHIND = shutil.ignore_patterns(
    ".*", "tests", "bench", "docs", "examples", "build", "dist", "*.egg-info", "__pycache__"
)


@dataclass(frozen=True, slots=True)
class Installed:
    """hhmrs from its wheel in an environment of its own, far from the clone."""

    python: Path
    command: Path
    empty: dict[str, str]
    """An environment with nothing of the caller's but PATH: its HOME is an empty folder."""

    def run(self, cwd: Path, *words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Start the installed command (or, given a path first, that program) in `cwd` without input."""
        start = [] if words and isinstance(words[0], Path) else [self.command]
        return subprocess.run(
            [*start, *words],
            cwd=cwd,
            env={**self.empty, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def sources() -> list[Path]:
    """Every Python file of the package, `ROOT/__init__.py` included."""
    return sorted([*ROOT.glob("*.py"), *(file for room in ROOMS for file in (ROOT / room).rglob("*.py"))])


@pytest.fixture(scope="session")
def python_files(sources: list[Path]) -> list[Path]:
    """The package, the tests and the benchmarks."""
    return sources + sorted(file for room in ("tests", "bench") for file in (ROOT / room).rglob("*.py"))


@pytest.fixture(scope="session")
def wheel_place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the wheel is built and installed, by the first worker of a run for all of them."""
    base = tmp_path_factory.getbasetemp()
    place = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "from-the-wheel"
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "done").exists():
            shutil.rmtree(place, ignore_errors=True)
            install(build(place), place)
            (place / "done").touch()
    return place


def build(place: Path) -> Path:
    """Build offline and from a copy: `build/` of an earlier build would leak old files into the wheel."""
    shutil.copytree(ROOT, place / "tree", ignore=LEFT_BEHIND, symlinks=True)
    how = ["--no-isolation", "--wheel", "--outdir", str(place)]
    built = subprocess.run(
        [sys.executable, "-m", "build", *how, place / "tree"], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = place.glob("*.whl")
    return wheel


def install(wheel: Path, place: Path) -> None:
    """Install into a fresh environment that borrows only the dependencies of the one we run in."""
    venv.EnvBuilder(with_pip=False, symlinks=True).create(place / "venv")
    (ours,) = (place / "venv" / "lib").glob("python3.*/site-packages")
    borrowed = next(entry for entry in sys.path if entry.endswith("site-packages"))
    # A path in a .pth file is added as it stands: the editable install's own .pth over there is not read.
    (ours / "borrowed.pth").write_text(borrowed + "\n")
    into = ["--python", str(place / "venv" / "bin" / "python"), "install", "--no-index", "--no-deps", "-qq"]
    subprocess.run([sys.executable, "-m", "pip", *into, wheel], check=True)


@pytest.fixture(scope="session")
def wheel(wheel_place: Path) -> Path:
    (made,) = wheel_place.glob("*.whl")
    return made


@pytest.fixture
def installed(wheel_place: Path, tmp_path: Path) -> Installed:
    programs = wheel_place / "venv" / "bin"
    home = tmp_path / "home"
    home.mkdir()
    path = f"{programs}:{os.environ['PATH']}"
    return Installed(programs / "python", programs / "hhmrs", {"PATH": path, "HOME": str(home), "LANG": "C"})
