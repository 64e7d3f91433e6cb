"""The tables of the book, as text. Their columns are public where contract.md section 6 names them."""

from __future__ import annotations

SCHEMA_VERSION = 1
APPLICATION_ID = 0x48484D52  # "HHMR": lets `file` and the damage check tell our files from others

TABLES: tuple[str, ...] = (
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    # `run` is the daemon start that wrote the event: a rebuild of retry_history needs it.
    """CREATE TABLE events(
        seq INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, type TEXT NOT NULL, agent TEXT, parent TEXT,
        incident TEXT, run TEXT NOT NULL, data TEXT NOT NULL)""",
    "CREATE INDEX events_by_agent ON events(agent, seq)",
    "CREATE INDEX events_by_incident ON events(incident, seq) WHERE incident IS NOT NULL",
    "CREATE INDEX events_by_type ON events(type, at)",
    # The events a keyed row led to, so that a repeated call is answered with the same numbers.
    "CREATE TABLE keys(key TEXT PRIMARY KEY, first INTEGER NOT NULL, count INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TABLE agents(
        id TEXT PRIMARY KEY, parent TEXT, phase TEXT NOT NULL, state TEXT NOT NULL, profile TEXT, model TEXT,
        updated_at TEXT NOT NULL)""",
    """CREATE TABLE incidents(
        id TEXT PRIMARY KEY, agent TEXT NOT NULL, parent TEXT, opened TEXT NOT NULL, symptom TEXT NOT NULL,
        cause TEXT NOT NULL, detail TEXT NOT NULL, level INTEGER NOT NULL DEFAULT 1, detected_after_s REAL,
        recovered TEXT, escalated TEXT, closed TEXT, outcome TEXT)""",
    "CREATE INDEX incidents_open ON incidents(agent) WHERE closed IS NULL",
    # `seq` is the event that began the attempt.
    """CREATE TABLE attempts(
        seq INTEGER PRIMARY KEY, incident TEXT, agent TEXT NOT NULL, task TEXT, n INTEGER NOT NULL,
        strategy TEXT NOT NULL, cause TEXT NOT NULL, at TEXT NOT NULL, ended TEXT, profile TEXT, model TEXT,
        outcome TEXT NOT NULL, why TEXT NOT NULL DEFAULT '')""",
    "CREATE UNIQUE INDEX attempts_by_incident ON attempts(incident, n)",
    "CREATE INDEX attempts_pending ON attempts(agent) WHERE outcome = 'pending'",
    """CREATE TABLE tasks(
        id TEXT PRIMARY KEY, agent TEXT, text TEXT NOT NULL, state TEXT NOT NULL, opened TEXT NOT NULL,
        closed TEXT, incident TEXT, seconds REAL, files INTEGER, why TEXT NOT NULL DEFAULT '')""",
    "CREATE INDEX tasks_by_agent ON tasks(agent, state)",
    "CREATE INDEX tasks_by_incident ON tasks(incident) WHERE incident IS NOT NULL",
    """CREATE TABLE retry_history(
        id INTEGER PRIMARY KEY, run_id TEXT NOT NULL, task_id TEXT NOT NULL, agent_id TEXT NOT NULL,
        parent_agent_id TEXT, retry_type TEXT NOT NULL, retry_count INTEGER NOT NULL, reason TEXT NOT NULL,
        old_config TEXT, new_config TEXT, timestamp TEXT NOT NULL,
        outcome TEXT NOT NULL CHECK(outcome IN ('pending', 'success', 'failure')))""",
    "CREATE INDEX retry_by_run ON retry_history(run_id, task_id)",
    "CREATE INDEX retry_by_agent ON retry_history(agent_id, outcome)",
    """CREATE TABLE failure_metrics(
        id INTEGER PRIMARY KEY AUTOINCREMENT, metric_type TEXT NOT NULL, metric_key TEXT NOT NULL,
        total_count INTEGER NOT NULL, failure_count INTEGER NOT NULL, restart_count INTEGER NOT NULL,
        escalation_count INTEGER NOT NULL, avg_completion_time_sec REAL, avg_retries_per_task REAL,
        health_score REAL, period_start TEXT NOT NULL, period_end TEXT NOT NULL, created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL, UNIQUE(metric_type, metric_key, period_start))""",
    "CREATE INDEX metrics_by_period ON failure_metrics(period_start)",
    """CREATE TABLE heartbeat_status(
        id INTEGER PRIMARY KEY AUTOINCREMENT, agent_id TEXT NOT NULL UNIQUE, parent_agent_id TEXT,
        run_id TEXT, last_heartbeat_timestamp TEXT, status TEXT, progress_pct REAL, current_subtask TEXT,
        health_cpu_pct REAL, health_memory_mb REAL, health_active_threads INTEGER,
        missed_heartbeat_count INTEGER NOT NULL DEFAULT 0, created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL)""",
    "CREATE TABLE live(agent TEXT PRIMARY KEY, at TEXT NOT NULL, live TEXT NOT NULL) WITHOUT ROWID",
)

CAME_LATER: tuple[str, ...] = (
    # Ids of letters that are in the book and may still lie in the inbox, as a JSON list.
    "CREATE TABLE IF NOT EXISTS taken(agent TEXT PRIMARY KEY, letters TEXT NOT NULL) WITHOUT ROWID",
)
"""Tables that a file of the same schema may lack."""

PROJECTIONS = ("incidents", "attempts", "tasks", "retry_history")
"""Tables that `rebuild` empties and makes again from the events alone."""

READABLE = frozenset({*PROJECTIONS, "failure_metrics", "heartbeat_status"})
