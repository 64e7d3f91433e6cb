"""What pyproject.toml lists, what lies in the tree and what gets into the wheel are the same."""

from __future__ import annotations

import tomllib
from pathlib import Path
from zipfile import ZipFile

ROOMS = ("config", "controller", "healing", "tui")
DATA = {".yaml", ".html", ".js", ".tcss", ".sh"}


def package_of(folder: Path, root: Path) -> str:
    return ".".join(["hhmrs", *folder.relative_to(root).parts])


def shipped(root: Path) -> set[str]:
    """The path in the wheel of every file of the four rooms and of the root package."""
    files = {
        file
        for room in ROOMS
        for file in (root / room).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    files |= {*root.glob("*.py"), root / "py.typed"}
    return {f"hhmrs/{file.relative_to(root)}" for file in files}


def test_the_package_list_is_complete(root: Path) -> None:
    listed = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {root} | {file.parent for room in ROOMS for file in (root / room).rglob("*.py")}

    assert sorted(listed) == sorted(package_of(folder, root) for folder in folders)


def test_every_folder_with_code_or_data_is_a_package(root: Path) -> None:
    homeless = {
        str(file.parent.relative_to(root))
        for room in ROOMS
        for file in (root / room).rglob("*")
        if file.suffix in DATA | {".py"} and not (file.parent / "__init__.py").is_file()
    }

    assert not homeless


def test_only_known_kinds_of_file_lie_in_the_rooms(root: Path) -> None:
    """Another kind would stay out of the wheel without a word: add it to package-data first."""
    kinds = {Path(name).suffix for name in shipped(root)}

    assert kinds <= DATA | {".py", ".typed", ""}, kinds


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path, root: Path) -> None:
    inside = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}

    assert inside == shipped(root)


def test_the_wheel_carries_its_licence(wheel: Path) -> None:
    assert any(name.endswith("/LICENSE") for name in ZipFile(wheel).namelist())
