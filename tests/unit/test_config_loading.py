from __future__ import annotations

import os
from pathlib import Path

import pytest

from hhmrs.config.files import MAX_BYTES
from hhmrs.config.fleet import FleetSpec, Policy
from hhmrs.config.loading import ConfigError, Problem, find_fleet_file, load_fleet
from hhmrs.config.profiles import BUILTIN
from hhmrs.healing.providers import provider_of

CONTRACT = """\
fleet: nightly
policy:
  mode: armed
  heartbeat_interval: 30s
  missed_heartbeats: 2
  quick_look: 120s
  nudge: {force_update: true, clear_stuck_tasks: true, auto_reset: true, rescue: true}
  progress_timeout: 10m
  tool_timeout: 20m
  task_deadline: 2h
  max_restarts: 3
  max_llm_retries: 3
  backoff: {initial: 1s, factor: 2, max: 8s, jitter: 0.1}
  kill_grace: 5s
  verify_within: 30s
  stable_after: 10m
  cascade: {share: 30%, at_least: 3, window: 60s}
  recovery: {stalled: [nudge, resume, restart, reassign]}
notify: ["discord://${HOOK}", "mailto://..."]
agents:
  programmer: {parent: dir-code, profile: shell, command: ["python3", "worker.py"], count: 10}
  architect: {profile: claude, workspace: .}
  dir-code:
    parent: architect
    profile: claude
    model: claude-sonnet-4-5
    title: Dir-Code
    alternates: [{profile: opencode, model: ollama/llama3.1:8b}, {profile: codex}]
    workspace: work/code
    prompt: "Build the parser described in SPEC.md"
    decider: policy
    restart: transient
    ready: {output: "regex"}
    liveness: [beat, output, file, transcript, cpu]
profiles:
  my-agent: {command: [mine], resume: [--again], ready: {port: 8000}, screens: {}}
"""


def load(tmp_path: Path, text: str) -> FleetSpec:
    (tmp_path / "hhmrs.yaml").write_text(text, encoding="utf-8")
    return load_fleet(tmp_path / "hhmrs.yaml")


def problems(tmp_path: Path, text: str) -> list[str]:
    """`LINE:COL: message` of each problem."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    return [str(problem).removeprefix(f"{tmp_path}/hhmrs.yaml:") for problem in caught.value.problems]


def agents(body: str, policy: str = "") -> str:
    """A fleet file whose agents begin in line 3."""
    return f"fleet: f\nagents:\n{body}\n{policy}"


# -- what is read ---------------------------------------------------------------------------------


def test_the_contracts_file_loads_with_everything_resolved(tmp_path: Path) -> None:
    spec = load(tmp_path, CONTRACT)
    assert (spec.fleet, spec.path, spec.policy) == ("nightly", tmp_path / "hhmrs.yaml", Policy())
    assert spec.notify == ("discord://${HOOK}", "mailto://...")
    assert list(spec.agents)[:3] == ["architect", "dir-code", "programmer-01"]
    chief = spec.agents["dir-code"]
    assert chief.title == "Dir-Code"
    assert chief.workspace == tmp_path / "work" / "code"
    assert [seat.label for seat in chief.seats] == [
        "claude:claude-sonnet-4-5",
        "opencode:ollama/llama3.1:8b",
        "codex",
    ]
    assert chief.ready
    assert chief.ready.output == "regex"
    assert spec.profiles["my-agent"].resume_args == ("--again",)
    assert not (tmp_path / "work").exists()


def test_what_is_not_said_has_the_contracts_defaults(tmp_path: Path) -> None:
    agent = load(tmp_path, agents("  a: {command: [x]}")).agents["a"]
    assert (agent.parent, agent.title, agent.workspace, agent.prompt) == (None, "a", tmp_path, None)
    assert (agent.decider, agent.restart, agent.ready, agent.pool) == ("policy", "transient", None, None)
    assert agent.liveness == ("beat", "output", "file", "transcript", "cpu")
    assert agent.policy == Policy()


def test_a_pool_becomes_its_members(tmp_path: Path) -> None:
    spec = load(
        tmp_path, agents("  p: {command: [x], count: 100, title: P}\n  kid: {command: [x], parent: p-007}")
    )
    members = [agent for agent in spec.agents.values() if agent.pool == "p"]
    assert [members[0].id, members[-1].id, members[0].title] == ["p-001", "p-100", "P-001"]
    assert spec.children("p-007") == ["kid"]
    assert spec.grandparent("kid") is None


def test_parents_come_first_and_siblings_in_file_order(tmp_path: Path) -> None:
    body = (
        "  c2: {command: [x], parent: b}\n  b: {command: [x], parent: a}\n  c1: {command: [x], parent: b}\n"
    )
    spec = load(tmp_path, agents(body + "  a: {command: [x]}"))
    assert list(spec.agents) == ["a", "b", "c2", "c1"]
    assert spec.children("b") == ["c2", "c1"]
    assert spec.grandparent("c1") == "a"


def test_policies_are_merged_from_the_defaults_down(tmp_path: Path) -> None:
    spec = load(tmp_path, (
        "fleet: f\npolicy:\n  {max_restarts: 1, backoff: {factor: 3}, "
        "recovery: {crash: [restart], stalled: [nudge]}}\nagents:\n  a:\n    command: [x]\n"
        "    policy: {backoff: {max: 9s}, recovery: {stalled: [resume, escalate]}, nudge: {rescue: false}}\n"
        "  b: {command: [x]}\n"
    ))  # fmt: skip
    own = spec.agents["a"].policy
    assert (own.max_restarts, own.backoff.factor, own.backoff.max, own.backoff.initial) == (1, 3, 9, 1)
    assert (own.nudge.rescue, own.nudge.auto_reset) == (False, True)
    assert own.recovery["stalled"] == ("resume",)
    assert own.recovery["crash"] == ("restart",)
    assert own.recovery["killed"] == ("resume", "restart", "reassign")
    assert spec.agents["b"].policy is spec.policy or spec.agents["b"].policy == spec.policy


def test_a_profile_like_a_built_in_one_differs_only_in_what_it_says(tmp_path: Path) -> None:
    spec = load(
        tmp_path,
        "fleet: f\nagents:\n  a: {profile: claude, alternates: [{profile: zai, model: glm-5}]}\nprofiles:\n"
        "  zai: {like: claude, env: {ANTHROPIC_BASE_URL: 'https://z'}}\n"
        "  claude: {command: [my-claude], env: {X: '1'}}\n",
    )
    claude, zai = spec.profiles["claude"], spec.profiles["zai"]
    assert zai.env == {**claude.env, "ANTHROPIC_BASE_URL": "https://z"}
    assert (zai.command, zai.env["X"]) == (("my-claude",), "1"), "with what the file made of it"
    assert zai.model_copy(update={"name": "claude", "env": claude.env}) == claude
    assert "ANTHROPIC_BASE_URL" not in claude.env
    assert {provider_of(seat) for seat in spec.agents["a"].seats} == {"anthropic", "zai"}


def test_a_profile_is_like_a_built_in_one_and_no_other(tmp_path: Path) -> None:
    head = "fleet: f\nagents:\n  a: {command: [x]}\nprofiles:\n"
    found = problems(tmp_path, head + "  p: {like: cluade}\n  codex: {like: claude}\n  q: {like: p}\n")
    known = f"expected one of {', '.join(BUILTIN)}"
    assert found == [
        f"5:13: profiles.p.like: 'cluade' is no built-in profile, {known}; did you mean 'claude'?",
        "6:17: profiles.codex.like: codex is built in and like itself, expected a new name",
        f"7:13: profiles.q.like: 'p' is no built-in profile, {known}",
    ]


def test_profiles_are_merged_field_by_field(tmp_path: Path) -> None:
    text = agents("  a: {profile: claude}") + (
        "profiles:\n  claude: {command: [my-claude], env: {X: '1'}, "
        "screens: {mine: {phase: waiting, pattern: hm}}, exit_codes: {7: auth}, pass_env: [MINE]}\n"
    )
    profile = load(tmp_path, text).agents["a"].seats[0].profile
    assert profile.command == ("my-claude",)
    assert profile.resume_args == ("--resume", "{session}")
    assert profile.env["X"] == "1"
    assert {"MINE", "ANTHROPIC_*"} <= set(profile.pass_env or ()), "who adds one still needs the CLI's own"
    assert profile.env["DISABLE_TELEMETRY"] == "1"
    assert {"mine", "permission"} <= {rule.name for rule in profile.screens}
    assert profile.exit_codes == {7: "auth"}


def test_an_alternate_keeps_what_belongs_to_the_same_profile(tmp_path: Path) -> None:
    body = (
        "  a: {profile: claude, model: m, command: [c], env: {X: '1'}, "
        "alternates: [{model: n}, {profile: codex}, {env: {X: '2', Y: '3'}}]}"
    )
    seats = load(tmp_path, agents(body)).agents["a"].seats
    assert [(s.profile.name, s.model, s.command) for s in seats] == [
        ("claude", "m", ("c",)), ("claude", "n", ("c",)), ("codex", None, ()), ("claude", "m", ("c",)),
    ]  # fmt: skip
    assert [dict(s.env) for s in seats] == [{"X": "1"}] * 3 + [{"X": "2", "Y": "3"}]


def test_numbers_in_commands_and_environments_are_the_text_they_are(tmp_path: Path) -> None:
    body = "  a: {command: [sleep, 60, 012, true, 1.0], env: {PORT: 8080, EMPTY: ''}}"
    seat = load(tmp_path, agents(body)).agents["a"].seats[0]
    assert seat.command == ("sleep", "60", "012", "true", "1.0")
    assert seat.env == {"PORT": "8080", "EMPTY": ""}


def test_testing_lifts_lower_bounds_only(tmp_path: Path) -> None:
    policy = "policy: {testing: true, heartbeat_interval: 200ms, kill_grace: 1ms}"
    assert load(tmp_path, agents("  a: {command: [x]}", policy)).policy.heartbeat_interval == 0.2
    too_long = problems(
        tmp_path, agents("  a: {command: [x]}", "policy: {testing: true, heartbeat_interval: 3m}")
    )
    assert too_long == ["4:45: policy.heartbeat_interval: 3m is out of bounds, expected at most 2m"]


def test_aliases_may_stand_for_whole_values(tmp_path: Path) -> None:
    spec = load(tmp_path, agents("  a: &a {command: [x]}\n  b: *a"))
    assert spec.agents["b"].seats == spec.agents["a"].seats


# -- workspaces -----------------------------------------------------------------------------------


def test_links_are_followed_before_a_workspace_is_judged(tmp_path: Path) -> None:
    home, outside = tmp_path / "home", tmp_path / "outside"
    home.mkdir()
    outside.mkdir()
    (home / "in").symlink_to(home / "real")
    (home / "out").symlink_to(outside)
    spec = load(
        home, agents("  a: {command: [x], workspace: in/deep}\n  b: {command: [x], workspace: x/../y}")
    )
    assert [a.workspace for a in spec.agents.values()] == [home / "real" / "deep", home / "y"]
    body = "  a: {command: [x], workspace: out}\n  b: {command: [x], workspace: ../home/../outside}\n"
    found = problems(home, agents(f"{body}  c: {{command: [x], workspace: {outside}}}"))
    assert [line.split(":")[0] for line in found] == ["3", "4", "5"]
    assert "leads outside" in found[0]
    assert "leads outside" in found[1]
    assert "is absolute" in found[2]
    allowed = load(home, agents(f"  a: {{command: [x], workspace: {outside}, allow_outside: true}}"))
    assert allowed.agents["a"].workspace == outside


def test_the_folder_is_that_of_the_real_file(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "hhmrs.yaml").write_text(agents("  a: {command: [x]}"), encoding="utf-8")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "real" / "hhmrs.yaml")
    spec = load_fleet(tmp_path / "link.yaml")
    assert spec.path == tmp_path / "real" / "hhmrs.yaml"
    assert spec.agents["a"].workspace == tmp_path / "real"


def test_what_stands_in_a_workspaces_place_now_is_no_fault_of_the_file(tmp_path: Path) -> None:
    """Who asks for it gets the fleet all the same; what the file itself says wrongly is refused as ever."""
    (tmp_path / "out").symlink_to("/etc")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    names = ("out", "loop", "pipe")
    text = agents("".join(f"  {name}: {{command: [x], workspace: {name}}}\n" for name in names))
    assert len(problems(tmp_path, text)) == 3
    moved: list[Problem] = []
    spec = load_fleet(tmp_path / "hhmrs.yaml", moved=moved)
    assert {name: spec.agents[name].workspace for name in names} == {name: tmp_path / name for name in names}
    assert [problem.message.split(":")[0] for problem in moved] == [f"agents.{n}.workspace" for n in names]
    for given in ("../x", "/etc", "out/../.."):
        (tmp_path / "hhmrs.yaml").write_text(agents(f"  a: {{command: [x], workspace: {given}}}"))
        with pytest.raises(ConfigError):
            load_fleet(tmp_path / "hhmrs.yaml", moved=[])


def test_a_loop_of_links_and_a_file_are_no_workspace(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (found,) = problems(tmp_path, agents("  a: {command: [x], workspace: loop/x}"))
    assert found.startswith("3:32: agents.a.workspace: 'loop/x' ")
    (found,) = problems(tmp_path, agents("  a: {command: [x], workspace: file}"))
    assert found == "3:32: agents.a.workspace: 'file' is no folder, expected one or a name that is still free"


# -- what is wrong --------------------------------------------------------------------------------

GOOD = "  a: {command: [x]}"
WRONG_AGENTS = [
    ("  a: {command: [x], pormpt: hi}", "3:21: a: unknown key 'pormpt'", "did you mean 'prompt'?"),
    ("  a: {command: [x], max_restarts: 3}", "3:21: a: unknown key 'max_restarts'", "put it under `policy:`"),
    ("  a: {command: [x], parent: b}", "3:29: a.parent: unknown parent 'b'", "the id"),
    (f"{GOOD}\n  bb: {{command: [x], parent: A}}", "4:30: bb.parent: unknown parent 'A'", "mean 'a'?"),
    ("  a: {command: [x], parent: a}", "3:29: a.parent: the parents form a cycle (a -> a)", "a tree"),
    ("  a: {profile: claud}", "3:16: a.profile: unknown profile 'claud'", "did you mean 'claude'?"),
    ("  a: {profile: shell}", "3:3: a: profile shell has no command", "expected one"),
    ("  a: {}", "3:3: a: profile shell has no command", "expected one"),
    ("  a:", "3:5: a: found nothing", "expected a mapping"),
    ("  a: {command: 'python3 x.py'}", "3:16: a.command: found 'python3 x.py'", "a list such as"),
    ("  a: {command: []}", "3:16: a.command: found an empty list", "a list such as"),
    ("  a: {command: ['']}", "3:16: a.command: the program's name is empty", "expected"),
    ('  a: {command: ["x\\0y"]}', "3:17: a.command: holds the control character '\\x00'", "expected"),
    ("  -a: {command: [x]}", "3:3: -a: unsafe agent id '-a'", "expected a letter or digit"),
    ("  _operator: {command: [x]}", "3:3: _operator: unsafe agent id", "expected a letter or digit"),
    ("  a.b: {command: [x]}", "3:3: a.b: unsafe agent id 'a.b'", "expected a letter or digit"),
    (f"  {'a' * 65}: {{command: [x]}}", f"3:3: {'a' * 63}…: unsafe agent id", "at most 64"),
    (f"{GOOD}\n  A: {{command: [x]}}", "4:3: A: 'A' and 'a' differ only in case", "expected distinct"),
    ("  a: {command: [x], count: 0}", "3:28: a.count: found '0'", "a whole number from 1 to 999"),
    ("  a: {command: [x], count: 1000}", "3:28: a.count: found '1000'", "a whole number from 1 to 999"),
    ("  a: {command: [x], count: 3}\n  a-02: {command: [x]}", "4:3: a-02: two agents", "each id once"),
    ("  a: {command: [x], count: 3}\n  b: {command: [x], parent: a}", "4:29: b.parent: 'a' is a pool", "01"),
    ("  a: {command: [x], count: 2, parent: a-02}", "3:39: a.parent: the parents form a cycle", "a tree"),
    (f"  {'a' * 62}: {{command: [x], count: 2}}", f"3:3: {'a' * 62}: ", "too long for an id"),
    ("  a: {command: [x], ready: {}}", "3:28: a.ready: found nothing", "exactly one"),
    ("  a: {command: [x], ready: {port: 1, output: x}}", "3:28: a.ready: found port and output", "one of"),
    ("  a: {command: [x], ready: {output: '('}}", "3:37: a.ready.output: '(' is no regular", "expected"),
    ("  a: {command: [x], ready: {port: 70000}}", "3:35: a.ready.port: found '70000'", "65535"),
    ("  a: {command: [x], alternates: [{profile: nope}]}", "3:44: a.alternates.profile: unknown", "expected"),
    ("  a: {profile: claude, alternates: [{profile: shell}]}", "3:37: a.alternates: profile shell", "no"),
    ("  a: {profile: claude, alternates: [{}]}", "3:37: a.alternates: found nothing", "expected profile"),
    ("  a: {command: [x], liveness: []}", "3:31: a.liveness: found an empty list", "expected"),
    ("  a: {command: [x], liveness: [fiel]}", "3:32: a.liveness: found 'fiel'", "did you mean 'file'?"),
    ("  a: {command: [x], restart: always}", "3:30: a.restart: found 'always'", "expected one of transient"),
    ("  a: {command: [x], title: 'a|b'}", "3:28: a.title: found 'a|b'", "without `|`"),
    ("  a: {command: [x], model: --help}", "3:28: a.model: found '--help'", "a model's name"),
    ("  a: {command: [x], env: {A-B: x}}", "3:27: a.env.A-B: no name of an environment", "letters"),
    ("  a: {command: [x], env: {HHMRS_TASK: x}}", "3:27: a.env.HHMRS_TASK: HHMRS_ var", "another name"),
    ("  a: {command: [x], env: {A: '${B'}}", "3:30: a.env.A: '${B' holds a broken reference", "${NAME}"),
    ("  a: {command: [x], prompt: [hi]}", "3:29: a.prompt: found a list", "expected text"),
    ("  a: {command: [x], allow_outside: yes}", "3:36: a.allow_outside: found 'yes'", "true or false"),
    ('  a: {command: [x], workspace: "a\\nb"}', "3:32: a.workspace: holds the control", "a folder"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "what", "expected"), WRONG_AGENTS)
def test_a_wrong_agent_is_one_problem_with_its_place(
    tmp_path: Path, body: str, what: str, expected: str
) -> None:
    found = problems(tmp_path, agents(body))
    assert len(found) == 1, found
    assert found[0].startswith(what.replace(" ", " agents.", 1)), found
    assert expected in found[0]


WRONG_POLICIES = [
    ("heartbeat_interval: 5s", "5s is out of bounds, expected 10s to 2m (shorter only with `testing: true`)"),
    ("heartbeat_interval: 121s", "2m1s is out of bounds, expected 10s to 2m"),
    ("heartbeat_interval: 30", "'30' has no unit, expected a duration with its unit"),
    ("kill_grace: 0s", "found '0s', expected more than 0"),
    ("task_deadline: 1 hour", "found '1 hour', expected a duration"),
    ("missed_heartbeats: 0", "found '0', expected a whole number from 1"),
    ("max_restarts: -1", "found '-1', expected a whole number from 0"),
    ("max_restarts: 1.5", "found '1.5', expected a whole number"),
    ("max_restarts: true", "found 'true', expected a whole number"),
    ("backoff: {factor: 0.5}", "found '0.5', expected a number from 1"),
    ("backoff: {jitter: 1.5}", "found '1.5', expected a number from 0 to 1"),
    ("backoff: {initail: 1s}", "did you mean 'initial'?"),
    ("cascade: {share: 130%}", "found '130%', expected a share from 0% to 100%"),
    ("testing: yes", "found 'yes', expected true or false"),
    ("mode: observed", "did you mean 'observe'?"),
    ("recovery: {stuck: [nudge]}", "unknown cause 'stuck'"),
    ("recovery: {stalled: [nudgee]}", "did you mean 'nudge'?"),
    ("recovery: {stalled: nudge}", "found 'nudge', expected a list"),
    ("recovery: {stalled: [restart, restart]}", "a strategy stands twice"),
    ("recovery: {stalled: [escalate, restart]}", "'escalate' stands before others"),
    ("recovery: {deadline: [restart]}", "a task past its deadline goes to a person"),
    ("quiklook: 3s", "did you mean 'quick_look'?"),
]


@pytest.mark.parametrize(("policy", "words"), WRONG_POLICIES)
@pytest.mark.parametrize("where", ["fleet", "agent"])
def test_a_wrong_policy_is_one_problem_with_its_place(
    tmp_path: Path, where: str, policy: str, words: str
) -> None:
    own = f"{GOOD[:-1]}, policy: {{{policy}}}}}"
    text = agents(GOOD, f"policy: {{{policy}}}") if where == "fleet" else agents(own)
    found = problems(tmp_path, text)
    assert len(found) == 1 and words in found[0], found
    assert found[0].startswith("4:" if where == "fleet" else "3:")


def test_an_agent_cannot_take_testing_back_and_keep_what_needs_it(tmp_path: Path) -> None:
    text = agents(
        "  a: {command: [x], policy: {testing: false}}", "policy: {testing: true, heartbeat_interval: 1s}"
    )
    assert problems(tmp_path, text) == [
        (
            "3:39: agents.a.policy.heartbeat_interval: 1s is out of bounds, expected 10s to 2m "
            "(shorter only with `testing: true`)"
        )
    ]


NAMED = "expected a name of a-z, 0-9 and -, at most 32, not beginning with -"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", ["1:1: the file is empty, expected `fleet:` and `agents:`; `hhmrs init` writes a start"]),
        ("- a", ["1:1: found a list, expected a mapping with the keys of a fleet file"]),
        ("fleet: f", ["1:1: agents: missing, expected it at the top level"]),
        ("fleet: f\nagents: {}", ["2:9: agents: found no agent, expected at least one"]),
        (f"fleet: Nightly\nagents:\n{GOOD}", [f"1:8: fleet: found 'Nightly', {NAMED}"]),
        (f"fleet: ../x\nagents:\n{GOOD}", [f"1:8: fleet: found '../x', {NAMED}"]),
        (f"fleet: f\nnotify: x\nagents:\n{GOOD}", ["2:9: notify: found 'x', expected a list of URLs"]),
        (f"fleet: f\nagents: [\n{GOOD}", None),
    ],
)  # fmt: skip
def test_the_top_level(tmp_path: Path, text: str, lines: list[str] | None) -> None:
    found = problems(tmp_path, text)
    assert found == lines or (lines is None and len(found) == 1 and "not YAML" in found[0])


def test_all_problems_come_at_once_sorted_by_place(tmp_path: Path) -> None:
    text = (
        "fleet: F\npolicy: {mode: off, quick_look: 3}\nagents:\n  a: {parent: zz, count: x}\n  a: {}\n"
        "  b: {profile: nope, workspace: ..}\nprofiles:\n  p: {screens: {w: {phase: limited}}}\n"
    )
    found = problems(tmp_path, text)
    places = [tuple(map(int, line.split(":")[:2])) for line in found]
    assert places == sorted(places)
    assert [line for line, _ in places] == [1, 2, 2, 4, 4, 4, 5, 6, 6, 8]


def test_one_cycle_is_one_problem(tmp_path: Path) -> None:
    ring = "".join(f"  a{n}: {{command: [x], parent: a{(n + 1) % 50}}}\n" for n in range(50))
    found = problems(tmp_path, agents(f"{ring}  tail: {{command: [x], parent: a9}}"))
    assert len(found) == 1
    assert found[0].startswith("3:30: agents.a0.parent: the parents form a cycle (a0 -> a1 ->")


def test_what_stands_in_the_file_is_shown_inert_and_short(tmp_path: Path) -> None:
    red = "\\e[31m" * 100
    found = problems(tmp_path, agents(f'  a: {{command: [x], restart: "{red}"}}'))
    assert len(found) == 1
    assert "\x1b" not in found[0]
    assert len(found[0]) < 400


def test_thousands_of_wrong_names_do_not_take_minutes(tmp_path: Path) -> None:
    body = "".join(f"  a{n}: {{command: [x], parnt: q{n}}}\n" for n in range(3000))
    assert len(problems(tmp_path, agents(body))) == 3000


def test_a_fleet_has_bounds(tmp_path: Path) -> None:
    body = "".join(f"  a{n}: {{command: [x], count: 999}}\n" for n in range(12))
    assert problems(tmp_path, agents(body)) == [
        "13:3: agents.a10: the fleet grows beyond 10000 agents, expected fewer"
    ]


# -- files that are none --------------------------------------------------------------------------


def refused(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_fleet(path)
    (problem,) = caught.value.problems
    return str(problem)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "big").write_bytes(b"#" * (MAX_BYTES + 1))
    (tmp_path / "latin").write_bytes("fleet: f\n# \xe4".encode("latin-1"))
    assert "1:1: cannot be read (No such file or directory)" in refused(tmp_path / "none")
    assert "1:1: not a regular file" in refused(tmp_path / "fifo")
    assert "1:1: " in refused(tmp_path)
    assert "1:1: cannot be read" in refused(tmp_path / "loop")
    assert "1:1: larger than 256 KiB" in refused(tmp_path / "big")
    assert "2:3: byte 0xe4 is no UTF-8" in refused(tmp_path / "latin")
    assert "1:1: cannot be read" in refused(Path("x\0y"))


def test_a_byte_order_mark_is_no_problem(tmp_path: Path) -> None:
    (tmp_path / "hhmrs.yaml").write_bytes(b"\xef\xbb\xbf" + agents(GOOD).encode())
    assert load_fleet(tmp_path / "hhmrs.yaml").fleet == "f"


def test_the_file_is_found_upward(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "hhmrs.yaml").write_text("")
    (deep / "hhmrs.yaml").mkdir()
    assert find_fleet_file(deep) == tmp_path / "hhmrs.yaml"
