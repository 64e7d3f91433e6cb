"""The confusion matrix over the recordings of panes: the command that prints it, and what it must say."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

RECORDINGS = Path(__file__).parents[1] / "recordings"


def confusion(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(RECORDINGS / "confusion.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_no_phase_is_wrong_at_rest() -> None:
    done = confusion("--json")
    told = json.loads(done.stdout)
    assert told["wrong"] == []
    assert (done.returncode, told["wrong_at_rest"]) == (0, 0)
    assert told["recordings"] == len(list(RECORDINGS.glob("*/*.txt")))
    for profile in ("aider", "codex", "copilot", "gemini", "opencode", "qwen"):
        assert sum(sum(row.values()) for row in told["matrix"][profile].values()) >= 5, profile
        assert told["matrix"][profile].keys() >= {"idle", "waiting", "error"} - {
            "error" * (profile == "opencode")
        }


def test_a_recording_with_another_label_is_named_and_fails_the_command(tmp_path: Path) -> None:
    shutil.copytree(RECORDINGS / "codex", tmp_path / "codex")
    page = tmp_path / "codex" / "permission.txt"
    page.write_text(page.read_text("utf-8").replace("# phase: waiting", "# phase: idle"), encoding="utf-8")
    done = confusion(str(tmp_path))
    assert done.returncode == 1
    assert "wrong: codex/permission is idle, read as waiting by permission" in done.stdout
    assert done.stdout.rstrip().endswith(f"{len(list(tmp_path.glob('*/*.txt')))} recordings, 1 wrong at rest")
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith(("codex", "idle"))]
    columns = rows[0][1:-1]
    assert dict(zip(columns, rows[1][1:], strict=True))["waiting"] == "1", "told idle, read waiting"


def test_what_is_no_recording_is_said_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "codex").mkdir()
    (tmp_path / "codex" / "torn.txt").write_text("# profile: codex\nno mark and no phase\n", encoding="utf-8")
    done = confusion(str(tmp_path))
    assert done.returncode == 2
    assert "torn.txt: expected `# profile:`" in done.stderr
    assert "Traceback" not in done.stderr
    assert confusion(str(tmp_path / "empty")).returncode == 2
