"""What one `hhmrs beat` costs, beside an interpreter that does nothing.

    .venv/bin/python bench/beat.py [ROUNDS]

The wheel is installed into an environment of its own, as agents have it: an editable install adds about 10 ms
of import machinery. The two commands take turns, so that a busy moment hits both. Prints one JSON document;
all times are milliseconds.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from statistics import median
from time import perf_counter

ROOT = Path(__file__).resolve().parents[1]
LEFT_BEHIND = shutil.ignore_patterns(".*", "tests", "build", "dist", "*.egg-info", "__pycache__")
WARM_UP = 5


def install(place: Path) -> Path:
    """Build the wheel from a copy, install it without dependencies; returns the environment's bin folder."""
    shutil.copytree(ROOT, place / "tree", ignore=LEFT_BEHIND, symlinks=True)
    # A copy, since `build/` of an earlier build would leak old files into the wheel.
    into = ["--no-isolation", "--wheel", "--outdir", str(place)]
    subprocess.run([sys.executable, "-m", "build", *into, place / "tree"], check=True, capture_output=True)
    venv.EnvBuilder(symlinks=True).create(place / "venv")
    into = ["--python", str(place / "venv" / "bin" / "python"), "install", "--no-index", "--no-deps", "-qq"]
    subprocess.run([sys.executable, "-m", "pip", *into, *place.glob("*.whl")], check=True)
    return place / "venv" / "bin"


def inbox(place: Path) -> dict[str, str]:
    """The environment of an agent whose inbox is at `place`."""
    for room in ("tmp", "new"):
        (place / room).mkdir(parents=True)
    return {
        "PATH": os.environ["PATH"],
        "HHMRS_INBOX": str(place),
        "HHMRS_FLEET": "bench",
        "HHMRS_AGENT": "worker",
        "HHMRS_ATTEMPT": "1",
    }


def once(argv: list[str], environment: dict[str, str]) -> float:
    """Wall clock of one run in milliseconds."""
    started = perf_counter()
    subprocess.run(argv, env=environment, check=True, stdin=subprocess.DEVNULL)
    return (perf_counter() - started) * 1000


def measure(rounds: int) -> dict[str, object]:
    """Run both commands `rounds` times in turn; raises when a beat left no letter."""
    with tempfile.TemporaryDirectory(prefix="hhmrs-bench-") as name:
        place = Path(name)
        programs = install(place)
        environment = inbox(place / "inbox" / "worker")
        bare = [str(programs / "python"), "-c", "pass"]
        beat = [str(programs / "hhmrs"), "beat", "executing", "--progress", "0.5", "--message", "half way"]
        pairs = [(once(bare, environment), once(beat, environment)) for _ in range(WARM_UP + rounds)]
        letters = len(list((place / "inbox" / "worker" / "new").iterdir()))
    if letters != rounds + WARM_UP:
        raise SystemExit(f"{rounds + WARM_UP} beats left {letters} letters")
    return figures([bare for bare, _ in pairs[WARM_UP:]], [beat for _, beat in pairs[WARM_UP:]])


def figures(bare: list[float], beat: list[float]) -> dict[str, object]:
    """Best and median of both, and how many bare starts a beat costs."""
    return {
        "rounds": len(beat),
        "python": platform.python_version(),
        "bare_ms": {"best": round(min(bare), 2), "median": round(median(bare), 2)},
        "beat_ms": {"best": round(min(beat), 2), "median": round(median(beat), 2)},
        "ratio": {"best": round(min(beat) / min(bare), 3), "median": round(median(beat) / median(bare), 3)},
    }


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 100), indent=2))
