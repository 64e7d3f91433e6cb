from __future__ import annotations

from pydantic import BaseModel

from hhmrs.config.fleet import CAUSES, Alerts, Backoff, Cascade, Keep, NudgeSteps, Policy
from hhmrs.config.policies import POLICY_SHAPES, defaults

CONTRACT_CAUSES = (
    "crash killed oom sigint timeout stalled looping deadline permission auth api_error rate_limited "
    "context_exhausted git tests pull_request left_agent tmux_lost host_lost unknown"
)


def test_the_defaults_file_and_the_models_agree() -> None:
    assert defaults().policy() == Policy()


def test_every_policy_field_can_be_written_and_nothing_else() -> None:
    assert set(POLICY_SHAPES) == set(Policy.model_fields)
    models: dict[str, type[BaseModel]] = {
        "nudge": NudgeSteps,
        "backoff": Backoff,
        "cascade": Cascade,
        "keep": Keep,
        "alerts": Alerts,
    }
    for name, model in models.items():
        assert set(defaults().values[name]) == set(model.model_fields)


def test_the_defaults_are_those_of_the_contract() -> None:
    policy = Policy()
    assert (policy.mode, policy.heartbeat_interval, policy.missed_heartbeats, policy.silence) == (
        "armed",
        30,
        2,
        60,
    )
    assert (policy.quick_look, policy.progress_timeout, policy.tool_timeout) == (120, 600, 1200)
    assert (policy.task_deadline, policy.max_restarts, policy.max_llm_retries) == (7200, 3, 3)
    assert policy.backoff == Backoff(initial=1, factor=2, max=8, jitter=0.1)
    assert (policy.kill_grace, policy.verify_within, policy.stable_after) == (5, 30, 600)
    assert policy.keep == Keep(
        checkpoints=50, snapshots=100, age=14 * 86_400, file_size=10_000_000, total_size=2_000_000_000
    )
    assert policy.cascade == Cascade(share=0.3, at_least=3, window=60)


def test_every_cause_has_a_ladder() -> None:
    assert set(Policy().recovery) == set(CAUSES) == set(CONTRACT_CAUSES.split())
    straight_to_a_person = {cause for cause, ladder in Policy().recovery.items() if not ladder}
    assert straight_to_a_person == {"permission", "auth", "deadline"}
    nudged = {cause for cause, ladder in Policy().recovery.items() if "nudge" in ladder}
    assert nudged == {"stalled", "looping"}
