"""Places at which a server process kills itself, as if the power had gone just there.

A scenario arms a point by making a file of its name in the folder ``TORTURE_FAILPOINTS``. The first process that
reaches the point removes the file and dies.
"""

import os
import signal
import time
from pathlib import Path
from typing import Any

POINTS = {
    "mid_batch": "some of a transaction's rows are written",
    "before_commit": "all of them are, and COMMIT is not sent",
    "after_commit": "it is committed, and nobody knows: neither the sender nor any process",
    "after_publish": "the hints are handed to the hub and to the channel layer, and the sender has no answer",
    "after_ack": "the sender has the answer, and no other process has a hint",
}
FLUSH_S = 0.05
"""How long replies take at most from the writer's thread to the network."""


def install() -> None:
    """Let this process die at points that are armed. Without the variable, do nothing."""
    name = os.environ.get("TORTURE_FAILPOINTS")
    if not name:
        return
    from chat.live import layer_sender, publisher
    from chat.services import posting, writer

    folder = Path(name)
    store_mentions, post_many, publish = posting.store_mentions, posting.post_many, publisher.publish
    answer, put = writer._answer, layer_sender.LayerSender.put_threadsafe

    def mid_batch(messages: Any) -> None:
        _reach(folder, "mid_batch")
        store_mentions(messages)

    def before_commit(posts: Any, **options: Any) -> Any:
        outcomes = post_many(posts, **options)
        _reach(folder, "before_commit")
        return outcomes

    def around_publish(hints: Any) -> None:
        _reach(folder, "after_commit")
        publish(hints)
        _reach(folder, "after_publish")

    def after_ack(answered: Any) -> None:
        answer(answered)
        if (folder / "after_ack").exists() and any(isinstance(job.change, posting.Post) for job, _ in answered):
            time.sleep(FLUSH_S)
            _reach(folder, "after_ack")

    def hold_back_before_ack(self: Any, hints: Any) -> None:
        if not (folder / "after_ack").exists():
            put(self, hints)

    posting.store_mentions = mid_batch
    posting.post_many = before_commit
    publisher.publish = around_publish
    writer._answer = after_ack
    layer_sender.LayerSender.put_threadsafe = hold_back_before_ack  # type: ignore[method-assign]


def arm(folder: Path, point: str) -> None:
    assert point in POINTS
    (folder / point).touch()


def is_armed(folder: Path, point: str) -> bool:
    return (folder / point).exists()


def disarm(folder: Path) -> None:
    for point in POINTS:
        (folder / point).unlink(missing_ok=True)


def _reach(folder: Path, point: str) -> None:
    try:
        (folder / point).unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
