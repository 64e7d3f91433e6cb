"""What each key of a policy means, and when a change of it is in force: the one place for these words."""

from __future__ import annotations

from collections.abc import Mapping

from .fleet import CAUSES

AT_ONCE = "at once, also for what is under way"
NEXT_LOOK = "at once, at the next look"
NEXT_ATTEMPT = "from the next attempt on"
NEXT_STEP = "from the next step of a recovery on"
NEXT_SAVE = "from the next checkpoint or snapshot on"
SCREEN = "at once, in every open screen"

MEANINGS: Mapping[str, tuple[str, str]] = {
    "mode": (AT_ONCE, "`observe` decides and records, and does nothing"),
    "testing": (AT_ONCE, "lifts every lower bound; for tests of a fleet, never for work"),
    "heartbeat_interval": (
        "at once; below 4s the daemon itself looks as often only after its next start",
        "how often a sign of life is due",
    ),
    "missed_heartbeats": (AT_ONCE, "no life for interval x missed is `stalled`"),
    "quick_look": (
        AT_ONCE,
        (
            "no progress this long: recorded once (`agent_quick_look`), shown by `explain`, `heal` and "
            "`status`, and the gentle steps of a nudge are taken: close a known dialog, refresh and clear"
            " its status file; changes no phase, opens no incident, spends nothing"
        ),
    ),
    "nudge.force_update": (
        "from the next nudge on",
        "a nudge may refresh the agent's status file, when that is older than a heartbeat interval",
    ),
    "nudge.clear_stuck_tasks": (
        "from the next nudge on",
        "a nudge may empty `current_tasks` of the status file; they are kept under `cleared_tasks`",
    ),
    "nudge.auto_reset": ("from the next nudge on", 'a nudge may set the status file to "at work"'),
    "nudge.rescue": (
        "from the next nudge on",
        "a nudge may leave the rescue message in the agent's inbox and type it into its pane",
    ),
    "progress_timeout": (
        AT_ONCE,
        (
            "life without progress this long is `looping`; output alone counts this long as progress; an "
            "agent's own long pauses may raise it, to at most twice as much"
        ),
    ),
    "tool_timeout": (AT_ONCE, "one child process may work silently this long"),
    "task_deadline": (AT_ONCE, "wall clock of one task, all attempts together; then a person"),
    "max_restarts": (NEXT_STEP, "level 1, the parent: attempts by resume or restart"),
    "max_llm_retries": (NEXT_STEP, "level 2, the grandparent: attempts by reassign"),
    "decide_within": (
        "at once; a question that is open waits no longer than this from now",
        (
            "with `decider: parent`: how long the parent (level 2: the grandparent) may take to answer, "
            "for each step; then the policy decides"
        ),
    ),
    "reassign_timeout_factor": (
        AT_ONCE,
        (
            "on another seat than its first: silence, `progress_timeout`, `tool_timeout` and "
            "`verify_within` are this many times as long; `check` counts it"
        ),
    ),
    "backoff.initial": (NEXT_ATTEMPT, "the wait before the second attempt of an incident"),
    "backoff.factor": (NEXT_ATTEMPT, "each further wait is this many times the one before"),
    "backoff.max": (NEXT_ATTEMPT, "no wait is longer, `backoff.jitter` aside"),
    "backoff.jitter": (
        NEXT_ATTEMPT,
        "each wait is up to this share longer, so that a fleet does not come back all at once",
    ),
    "kill_grace": (
        "from the next process tree that is ended on",
        "how long a process tree that is ended has between TERM and KILL",
    ),
    "verify_within": (
        "from the next attempt on; one under way waits no longer than this from now",
        "an attempt counts only if fresh progress is seen in this time",
    ),
    "stable_after": (AT_ONCE, "this long healthy refills the budgets"),
    "cascade.share": (
        NEXT_LOOK,
        (
            "when this share of the fleet fails of the same cause (of those with the same provider for "
            "`api_error`, `rate_limited` and `auth`, of those in the same tmux server for `tmux_lost`), "
            "it is one incident: one event, one notification; they are held back, one of them tries now "
            "and then, and what is tried in vain against a provider costs no budget"
        ),
    ),
    "cascade.at_least": (NEXT_LOOK, "fewer agents than this are never one incident, whatever their share"),
    "cascade.window": (NEXT_LOOK, "failures of the same cause count together within this time"),
    "recoveries.share": (
        NEXT_LOOK,
        "this share of the fleet recovers at once; the others wait for their turn",
    ),
    "recoveries.at_least": (NEXT_LOOK, "always this many may recover at once, however small the fleet"),
    "spending.tokens": (
        AT_ONCE,
        (
            "so many tokens (sent and received, by its own transcripts) may the agent use until a person says"
            " `clear`; then it finishes its turn and is held: paused, and given nothing more to do; 0: no"
            " limit"
        ),
    ),
    "spending.cost": (AT_ONCE, "the same in US dollars, where its transcripts tell the cost; 0: no limit"),
    "spending.fleet_tokens": (AT_ONCE, "the tokens of all agents together; then all are held; 0: no limit"),
    "spending.fleet_cost": (AT_ONCE, "the US dollars of all agents together; then all are held; 0: no limit"),
    "spending.warn": (
        AT_ONCE,
        "from this share of a limit on, a person is told once (`agent_budget_warned`, `notify`, the bell)",
    ),
    "keep.checkpoints": (NEXT_SAVE, "this many of each agent's checkpoints; the newest always stays"),
    "keep.snapshots": (
        NEXT_SAVE,
        "this many snapshots of its workspace, and those that a kept checkpoint names",
    ),
    "keep.age": (NEXT_SAVE, "checkpoints and snapshots older than this go"),
    "keep.file_size": (
        NEXT_SAVE,
        "a larger file is in no snapshot; an event, `explain` and `doctor` name what was left out",
    ),
    "keep.total_size": (
        NEXT_SAVE,
        (
            "the files of one snapshot together (what comes last by name is left out), and all snapshots "
            "of an agent on disk (the oldest go)"
        ),
    ),
    "alerts.bell": (
        SCREEN,
        (
            "what the open screen tells by the terminal's bell: one alert per incident, and one more when"
            " it fails for good"
        ),
    ),
    "alerts.desktop": (
        SCREEN,
        (
            "what it tells by a notification of the terminal's own (OSC 9, or OSC 777); inside tmux that "
            "needs `set -g allow-passthrough on`"
        ),
    ),
    "notify": ("from the next alert on", "a list of URLs that get the one alert per incident"),
    **{
        f"recovery.{cause}": (
            NEXT_STEP,
            f"what is tried for the cause `{cause}`, in this order; then, or with an empty list, a person",
        )
        for cause in CAUSES
        if cause != "deadline"
    },
    "recovery.deadline": ("never", "a task past its deadline always goes to a person; raise `task_deadline`"),
}
"""Key -> when a change of it is in force, and what it means."""

OF_THE_FLEET = frozenset(
    {
        "notify",
        "cascade.share",
        "cascade.at_least",
        "recoveries.share",
        "recoveries.at_least",
        "spending.fleet_tokens",
        "spending.fleet_cost",
    }
)
"""Keys of the fleet as a whole: an agent's own value of them says nothing."""
