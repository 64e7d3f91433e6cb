"""The fixtures of tests/system: real tmux on a private socket, a home of its own, waiting for conditions."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_PLACE = Path(__file__).parents[1] / "system" / "conftest.py"
_spec = importlib.util.spec_from_file_location("hhmrs_tests_system_fixtures", _PLACE)
assert _spec is not None
assert _spec.loader is not None
_shared = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_shared)

_own_home = _shared._own_home
wait_until = _shared.wait_until
eventually = _shared.eventually
tmux_socket = _shared.tmux_socket
terminals = _shared.terminals
environment = _shared.environment
python = _shared.python
own_limits = _shared.own_limits
