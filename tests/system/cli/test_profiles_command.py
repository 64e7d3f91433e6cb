"""`hhmrs profiles` as people run it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hhmrs.config.profiles import BUILTIN

if TYPE_CHECKING:  # pytest gives the fixture; only the checkers need its name
    from hhmrs.tests.system.cli.home import Home

OWN = "profiles:\n  my-own: {command: [sh], about: mine}\n  codex: {command: [sh, -c, codex]}\n"


def test_the_list_reads_well_in_80_columns_and_names_every_profile(home: Home) -> None:
    home.file.unlink()
    done = home.run("profiles")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["PROFILE", "WHAT", "CHECKED", "HERE", "RESUME", "HOOKS"]
    assert [line.split()[0] for line in lines[1 : len(BUILTIN) + 1]] == list(BUILTIN)
    row = next(line for line in lines if line.startswith("codex "))
    assert "verified 0.169.0" in row
    assert "documented" in next(line for line in lines if line.startswith("goose "))
    assert "codex     --dangerously-bypass-approvals-and-sandbox" in done.stdout
    assert home.run("profiles", "list").stdout == done.stdout


def test_the_profiles_of_the_fleet_file_are_there_too(home: Home) -> None:
    home.file.write_text(f"fleet: {home.fleet}\n{OWN}agents:\n  a: {{profile: my-own}}\n")
    told = {entry["name"]: entry for entry in home.json("profiles")["profiles"]}
    assert (told["my-own"]["source"], told["codex"]["source"]) == ("fleet file", "changed")
    assert told["my-own"]["path"].endswith("/sh")
    assert told["claude"]["autonomy"][0] == "--dangerously-skip-permissions"
    shown = home.run("profiles").stdout
    assert "\nmy-own*" in shown
    assert "\ncodex*" in shown
    assert "* from the fleet file, or changed there." in shown


def test_a_fleet_file_that_is_broken_is_left_out_and_a_named_one_refused(home: Home) -> None:
    home.file.write_text("fleet: [\n")
    found = home.run("profiles")
    assert found.returncode == 0
    assert found.stdout.rstrip().endswith("the fleet file is left out, see `hhmrs check`")
    named = home.run("profiles", "--config", str(home.file))
    assert named.returncode == 2
    assert named.stdout == ""


def test_check_names_variables_that_reach_no_agent(home: Home) -> None:
    home.write("  a: {profile: codex, prompt: 'mend it and open a PR'}\n")
    home.env |= {"MISTRAL_API_KEY": "value-of-it", "GH_TOKEN": ""}
    shown = home.run("check")
    assert shown.returncode == 0, "advice refuses nothing"
    advice = " ".join(line for line in shown.stdout.splitlines() if line.startswith("advice: "))
    assert "MISTRAL_API_KEY is set here and not passed to codex" in advice
    assert "its task asks for a pull request, but no token for it is in the environment" in advice
    assert "its workspace is no git repository yet" in advice
    assert "codex will stop and ask before it acts" in advice
    assert "value-of-it" not in shown.stdout
    assert len(home.json("check")["advice"]) >= 4


def test_words_that_make_no_sense_exit_2(home: Home) -> None:
    for words in (("profiles", "lst"), ("profiles", "list", "codex")):
        done = home.run(*words)
        assert done.returncode == 2
        assert done.stdout == ""
    assert "expected list or test NAME" in home.run("profiles", "lst").stderr


def test_a_test_of_what_is_not_there_says_so_in_a_sentence(home: Home) -> None:
    home.write("  a: {profile: shell, command: [sh]}\n", "profiles:\n  mine: {command: [no-such-cli]}\n")
    done = home.run("profiles", "test", "mine")
    told = home.json("profiles", "test", "mine")

    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == "no-such-cli is not installed: there is no such program on PATH\n"
    assert (told["profile"], told["passed"]) == ("mine", False)
    assert [(pace["name"], pace["verdict"]) for pace in told["paces"]] == [("installed", "failed")]


def test_a_test_needs_the_name_of_a_profile(home: Home) -> None:
    for words in ((), ("codx",)):
        done = home.run("profiles", "test", *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert "profile" in done.stderr
    assert "there are aider, amp, " in home.run("profiles", "test", "codx").stderr


def test_a_command_without_a_model_of_ours_is_told_as_not_possible(home: Home) -> None:
    home.write("  a: {profile: shell, command: [sh]}\n", "profiles:\n  mine: {command: [sh]}\n")
    done = home.run("profiles", "test", "mine")

    assert done.returncode == 0
    assert done.stdout.startswith(
        "mine, in a HOME of its own and against a scripted model:\n  installed  passed "
    )
    assert "started    not possible" in done.stdout
