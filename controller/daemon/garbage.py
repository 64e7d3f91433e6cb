"""How Python's search for garbage is kept from stopping the loop.

A fleet's states are many and live long. Reference counts free nearly all that is thrown away; what the search
for circles finds is little, and each time it begins anew it goes through everything that is alive.
"""

from __future__ import annotations

import gc

THRESHOLDS = (10_000, 20, 50)
"""Objects more than were freed until the youngest are searched, and how many such searches make one of the
next generation. With Python's own 700 a turn in which a hundred agents fail is interrupted four times."""


def spare_what_is_there(*, searched: bool = True) -> None:
    """What is alive now mostly lives as long as we do: it is never searched for garbage again. Called at the
    start and, `searched` False, once a minute later. To search everything first stops the loop of a thousand
    agents for 70 ms, which is not worth the few circles of that minute; and never often, for they stay."""
    gc.set_threshold(*THRESHOLDS)
    if searched:
        gc.collect()
    gc.freeze()
