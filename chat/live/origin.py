"""The mark on everything that this process says in the channel layer.

The hubs of the process have its hints already, so the subscriber drops what comes back with the process's own mark.
"""

import os
import secrets
from functools import cache


def origin() -> str:
    """The mark of this process. A forked process gets a mark of its own."""
    return _origin_of(os.getpid())


@cache
def _origin_of(pid: int) -> str:
    return f"{pid:x}.{secrets.token_hex(8)}"
