"""Files and functions stay small enough to be read in one go."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

FILE_LINES = 500
FUNCTION_LINES = 60


def functions(file: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{file}:{node.lineno} {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


def test_no_file_is_longer_than_500_lines(python_files: list[Path]) -> None:
    sizes = {str(file): len(file.read_text(encoding="utf-8").splitlines()) for file in python_files}

    assert {file: lines for file, lines in sizes.items() if lines > FILE_LINES} == {}


def test_no_function_is_longer_than_60_lines(python_files: list[Path]) -> None:
    long = {name: lines for file in python_files for name, lines in functions(file) if lines > FUNCTION_LINES}

    assert long == {}
