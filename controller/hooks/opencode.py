"""opencode: a plugin, which runs inside of it and so writes the letter itself. Seen with 1.18.33.

Sub-agents have sessions of their own, whose ends are not the agent's: the plugin leaves them out."""

from __future__ import annotations

import re

from .kinds import Failure, Kind, Phase, Place, Said, Session, Word, text
from .line import MARK

_AUTH = re.compile(r"\b40[13]\b|ProviderAuthError|unauthori[sz]ed|invalid api key", re.IGNORECASE)
_LIMIT = re.compile(r"\b429\b|rate.limit|usage limit|quota", re.IGNORECASE)

PLUGIN = f"""\
// {MARK}: written by `hhmrs hooks install opencode`, taken away by `hhmrs hooks remove opencode`.
// Without HHMRS_INBOX in the environment it does nothing at all.
import {{ renameSync, writeFileSync }} from "node:fs"

export const Hhmrs = async () => {{
  const inbox = process.env.HHMRS_INBOX
  if (!inbox) return {{}}
  const children = new Set()
  let serial = 0
  const cut = (value) => (typeof value === "string" ? value.slice(0, 4000) : value)
  const send = (event, payload) => {{
    try {{
      const at = new Date().toISOString()
      const name = `hook.${{Date.now()}}.${{process.pid}}.${{serial++}}`
      const attempt = Number(process.env.HHMRS_ATTEMPT)
      const agent = process.env.HHMRS_AGENT
      const letter = {{ kind: "hook", agent, attempt, at, cli: "opencode", event, payload }}
      writeFileSync(`${{inbox}}/tmp/${{name}}`, JSON.stringify(letter), {{ mode: 0o600 }})
      renameSync(`${{inbox}}/tmp/${{name}}`, `${{inbox}}/new/${{name}}`)
    }} catch {{}}
  }}
  return {{
    event: async ({{ event }}) => {{
      const said = event?.properties ?? {{}}
      const session = said.sessionID ?? said.info?.id
      if (said.info?.parentID) children.add(said.info.id)
      const asks = event?.type === "permission.asked"
      if (children.has(session) && !asks && event?.type !== "permission.replied") return
      if (event?.type === "session.created") send(event.type, {{ sessionID: session }})
      if (event?.type === "session.idle") send(event.type, {{ sessionID: session }})
      if (event?.type === "session.status") {{
        const {{ type, message, next }} = said.status ?? {{}}
        send(event.type, {{ sessionID: session, type, message: cut(message), next }})
      }}
      if (event?.type === "session.error") {{
        const {{ name, data }} = said.error ?? {{}}
        const {{ message, statusCode }} = data ?? {{}}
        send(event.type, {{ sessionID: session, name, message: cut(message), status: statusCode }})
      }}
      if (asks) {{
        const patterns = Array.isArray(said.patterns) ? said.patterns.slice(0, 5).map(cut) : []
        send(event.type, {{ sessionID: session, permission: cut(said.permission ?? said.type), patterns }})
      }}
      if (event?.type === "permission.replied") send(event.type, {{ sessionID: session }})
    }},
    "tool.execute.after": async (input) => send("tool.execute.after", {{ tool: cut(input?.tool) }}),
  }}
}}
"""


def _created(said: Said) -> tuple[Word, ...]:
    found = text(said, "sessionID")
    return (Session(found),) if found else ()


def _status(said: Said) -> tuple[Word, ...]:
    kind, ends = said.get("type"), said.get("next")
    limited = kind == "retry" and _LIMIT.search(text(said, "message")) is not None
    if limited and isinstance(ends, int | float) and not isinstance(ends, bool):
        # A short pause between two tries is work; the translation, which knows the time, tells them apart.
        return (Failure("rate_limited", text(said, "message"), ends / 1000),)
    return {"busy": (Phase("busy"),), "retry": (Phase("busy"),), "idle": (Phase("idle"),)}.get(str(kind), ())


def _failed(said: Said) -> tuple[Word, ...]:
    name, words = text(said, "name"), text(said, "message")
    whole = f"{name} {said.get('status')} {words}"
    if name == "MessageAbortedError":
        return (Phase("idle"),)
    if name == "ContextOverflowError":
        cause = "context_exhausted"
    elif _AUTH.search(whole):
        cause = "auth"
    else:
        cause = "rate_limited" if _LIMIT.search(whole) else "api_error"
    return (Failure(cause, words or name or "its turn failed"),)


def _asked(said: Said) -> tuple[Word, ...]:
    patterns = said.get("patterns")
    what = ", ".join(map(str, patterns[:5])) if isinstance(patterns, list) else ""
    words = ": ".join(part for part in (text(said, "permission"), what) if part)
    return (Phase("waiting", f"may it use {words}?" if words else "it asks for a permission"),)


OPENCODE = Kind(
    "opencode",
    Place("XDG_CONFIG_HOME", "opencode", ".config/opencode", "plugins/hhmrs.js"),
    {
        "session.created": _created,
        "session.status": _status,
        "session.idle": lambda _: (Phase("idle"),),
        "session.error": _failed,
        "permission.asked": _asked,
        "permission.replied": lambda _: (Phase("busy"),),
        "tool.execute.after": lambda said: (Phase("busy", tool=text(said, "tool") or "without a name"),),
    },
    whole=PLUGIN,
)
