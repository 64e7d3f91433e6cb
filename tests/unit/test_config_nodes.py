from __future__ import annotations

import pytest
import yaml

from hhmrs.config.nodes import MAX_DEPTH, Loader, Mapping, Scalar, Sequence, plain_value, read_nodes

LOADERS = [yaml.SafeLoader, yaml.CSafeLoader] if yaml.__with_libyaml__ else [yaml.SafeLoader]


@pytest.fixture(params=LOADERS, ids=lambda loader: loader.__name__)
def loader(request: pytest.FixtureRequest) -> Loader:
    chosen: Loader = request.param
    return chosen


@pytest.mark.parametrize(
    "raw",
    [
        *[
            "NO",
            "no",
            "yes",
            "on",
            "True",
            "012",
            "1:30",
            "0x1f",
            "1_000",
            ".inf",
            ".nan",
            "2026-11-21",
            "1.",
            ".",
            "-",
            "e5",
            "E401",
            "+",
            "<<",
            "=",
        ],
        "9" * 30,
    ],
)
def test_what_only_old_yaml_takes_for_something_else_stays_text(raw: str) -> None:
    assert plain_value(raw) == raw


@pytest.mark.parametrize(
    ("raw", "value"),
    [("true", True), ("false", False), ("null", None), ("~", None), ("", None), ("0", 0), ("-7", -7),
     ("0.1", 0.1), (".5", 0.5), ("1e3", 1000.0), ("-1.5e-3", -0.0015)],
)  # fmt: skip
def test_yaml_1_2_scalars(raw: str, value: object) -> None:
    found = plain_value(raw)
    assert found == value
    assert type(found) is type(value)


def test_nodes_know_their_place_and_quotes_make_text(loader: Loader) -> None:
    root, flaws = read_nodes('a: 1\nä: ["2", true]\n', loader)
    assert flaws == []
    assert isinstance(root, Mapping)
    key, value = root.entries["ä"]
    assert (key.line, key.col, value.line, value.col) == (2, 1, 2, 4)
    assert isinstance(value, Sequence)
    first, second = value.items
    assert isinstance(first, Scalar)
    assert isinstance(second, Scalar)
    assert (first.value, first.col, second.value, second.col) == ("2", 5, True, 10)


@pytest.mark.parametrize(
    ("text", "line", "col", "words"),
    [
        ("a: 1\nb: 2\na: 3", 3, 1, "duplicate key 'a', expected it once; it stands in line 1 already"),
        ("a: !!python/object:os.system x", 1, 4, "is not allowed, expected a value without one"),
        ("a: !mine {b: 1}", 1, 4, "tag '!mine' is not allowed"),
        ("a: *x", 1, 4, "alias 'x' has no anchor"),
        ("a: &a [1, *a]", 1, 11, "alias 'a' holds itself"),
        ("x: &x {a: 1}\ny: {<<: *x}", 2, 5, "merge keys"),
        ("? [1]\n: 2", 1, 3, "this key is no plain text"),
        ("--- 1\n--- 2", 2, 1, "a second document"),
        ("a: b: c", 1, 5, "not YAML"),
        ("a: [1", 1, None, "not YAML"),
        ("a:\n\t- b", 2, None, "not YAML"),
        ("a: x\0y", 1, 5, "unprintable character \\x00"),
        ("[" * 200, 1, MAX_DEPTH + 1, f"nested more than {MAX_DEPTH} levels"),
        ("- " * 200, 1, None, f"nested more than {MAX_DEPTH} levels"),
    ],
)
def test_flaws_have_a_place(loader: Loader, text: str, line: int, col: int | None, words: str) -> None:
    _, flaws = read_nodes(text, loader)
    assert [words in flaw.message for flaw in flaws].count(True) == 1, flaws
    flaw = next(flaw for flaw in flaws if words in flaw.message)
    assert flaw.line == line or col is None
    assert flaw.col == col or col is None


def test_all_flaws_are_found_at_once(loader: Loader) -> None:
    _, flaws = read_nodes("a: !!int 1\na: 2\nb: *z\nc: {<<: 1}", loader)
    assert [flaw.line for flaw in flaws] == [1, 2, 3, 4]


def test_an_alias_stands_for_its_value(loader: Loader) -> None:
    root, flaws = read_nodes("a: &x [1, 2]\nb: *x", loader)
    assert flaws == []
    assert isinstance(root, Mapping)
    assert root.entries["a"][1] is root.entries["b"][1]


def test_a_bomb_of_aliases_is_refused_before_it_grows(loader: Loader) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40)]
    root, flaws = read_nodes("\n".join(lines), loader)
    assert root is None
    assert [flaw.message for flaw in flaws] == [
        "the aliases make more than 100000 values of this file, expected fewer"
    ]


def test_aliases_cannot_nest_deeper_than_brackets(loader: Loader) -> None:
    text = "a: &a " + "[" * 20 + "]" * 20 + "\nb: " + "[" * 20 + "*a" + "]" * 20
    _, flaws = read_nodes(text, loader)
    assert [(flaw.line, "nested more than" in flaw.message) for flaw in flaws] == [(2, True)]


def test_nothing_at_all_has_no_root(loader: Loader) -> None:
    assert read_nodes("# only words\n", loader) == (None, [])
