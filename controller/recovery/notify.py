"""One notification per incident that needs a person: through Apprise when URLs are configured."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

from ...config.references import UnsetVariable, resolve_references

log = logging.getLogger(__name__)


class NotifyError(Exception):
    """A notification could not be sent; the message never holds a secret."""


def send(urls: Sequence[str], title: str, body: str) -> int:
    """Send to every URL; how many services took it. Raises NotifyError when there are URLs and none did.

    ${NAME} in a URL is taken from the environment here, so that secrets never reach the ledger or a log."""
    if not urls:
        return 0
    try:
        from apprise import Apprise
    except ImportError:
        raise NotifyError("`notify:` needs the extra: pip install 'hhmrs-tui[notify]'") from None
    sent = 0
    for number, url in enumerate(urls, 1):
        service = Apprise()
        try:
            resolved = resolve_references(url, os.environ)
        except UnsetVariable as error:
            log.warning("notify entry %d: %s", number, error)
            continue
        if not service.add(resolved):
            log.warning("notify entry %d is not a URL that Apprise knows", number)
        elif service.notify(title=title, body=body):
            sent += 1
        else:
            log.warning("notify entry %d did not take the notification", number)
    if not sent:
        raise NotifyError(f"none of {len(urls)} notify entries took the notification; see daemon.log")
    return sent
