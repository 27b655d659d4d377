"""What can break. Each fault lasts as long as its call, and is noted in the history."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

import redis

from tests.rig.site import SiteProcess
from torture.players import Client
from torture.stage import Stage

Fault = Callable[[Stage, random.Random], Awaitable[None]]


async def kill_server(stage: Stage, process: SiteProcess, *, away_s: float = 1.0) -> None:
    """SIGKILL, and start again after a while."""
    with stage.recorder.fault("server killed"):
        await asyncio.to_thread(process.kill)
        await asyncio.sleep(away_s)
        await asyncio.to_thread(process.start)


async def freeze_server(stage: Stage, process: SiteProcess, *, seconds: float) -> None:
    """SIGSTOP: its sockets stay open, it holds what it held, and nothing answers."""
    with stage.recorder.fault("server frozen"):
        process.pause()
        try:
            await asyncio.sleep(seconds)
        finally:
            process.resume()


async def freeze_redis(stage: Stage, *, seconds: float) -> None:
    assert stage.redis
    with stage.recorder.fault("Redis frozen"):
        stage.redis.pause()
        try:
            await asyncio.sleep(seconds)
        finally:
            stage.redis.resume()


async def restart_redis(stage: Stage, *, away_s: float) -> None:
    """Redis forgets everything, subscriptions too."""
    assert stage.redis
    with stage.recorder.fault("Redis restarted"):
        await asyncio.to_thread(stage.redis.kill)
        await asyncio.sleep(away_s)
        await asyncio.to_thread(stage.redis.start)


async def flush_redis(stage: Stage) -> None:
    assert stage.redis
    with stage.recorder.fault("Redis flushed"):
        await asyncio.to_thread(stage.redis.client().flushall)


async def end_subscriptions(stage: Stage) -> None:
    assert stage.redis
    with stage.recorder.fault("subscriptions ended"), suppress(redis.RedisError):
        await asyncio.to_thread(stage.redis.client().execute_command, "CLIENT", "KILL", "TYPE", "pubsub")


async def deafen_redis(stage: Stage, *, seconds: float) -> None:
    """Half-open: what Redis sends over today's connections is lost, and they stay open. New ones work."""
    assert stage.redis_link
    with stage.recorder.fault("Redis half-open"):
        stage.redis_link.swallow_answers()
        await asyncio.sleep(seconds)


async def restart_postgres(stage: Stage, *, away_s: float = 0.0) -> None:
    """A crash (``immediate``): no checkpoint, connections break, recovery at the start."""
    assert stage.postgres
    with stage.recorder.fault("PostgreSQL restarted"):
        await asyncio.to_thread(stage.postgres.kill)
        await asyncio.sleep(away_s)
        await asyncio.to_thread(stage.postgres.start)


async def end_database_connections(stage: Stage) -> None:
    assert stage.postgres
    with stage.recorder.fault("database connections ended"):
        await asyncio.to_thread(stage.postgres.end_connections, database_name(stage))


async def hold_database(stage: Stage, *, seconds: float) -> None:
    """The network to the database is dead: nothing passes, and connections stay open."""
    assert stage.database_link
    with stage.recorder.fault("database hangs"):
        stage.database_link.pause()
        try:
            await asyncio.sleep(seconds)
        finally:
            stage.database_link.resume()


async def cut_clients(stage: Stage, share: float, rng: random.Random) -> None:
    with stage.recorder.fault("client links cut"):
        stage.gateway.cut(stage.gateway.some(share, rng))


async def lose_answers(stage: Stage, share: float, rng: random.Random, *, seconds: float) -> None:
    """What clients send arrives, and nobody can tell them: then the connections break."""
    with stage.recorder.fault("answers lost"):
        deaf = stage.gateway.some(share, rng)
        stage.gateway.lose_answers(deaf)
        await asyncio.sleep(seconds)
        stage.gateway.cut(deaf)


async def hold_clients(stage: Stage, share: float, rng: random.Random, *, seconds: float) -> None:
    with stage.recorder.fault("client links dead"):
        held = stage.gateway.some(share, rng)
        stage.gateway.hold(held)
        try:
            await asyncio.sleep(seconds)
        finally:
            stage.gateway.release(held)


async def half_close_clients(stage: Stage, share: float, rng: random.Random) -> None:
    with stage.recorder.fault("client links half closed"):
        stage.gateway.half_close(stage.gateway.some(share, rng))


async def lose_frames(stage: Stage, count: int, *, holding: str = "") -> None:
    with stage.recorder.fault("frames lost"):
        before = stage.gateway.lost_frames
        stage.gateway.lose_frames(count, holding=holding)
        for _ in range(20):
            if stage.gateway.lost_frames >= before + count:
                break
            await asyncio.sleep(0.1)
        stage.gateway.lose_frames(0)


async def restart_client(stage: Stage, client: Client, *, away_s: float) -> None:
    """The application ends and starts again, with its outbox and its cursors."""
    with stage.recorder.fault("client restarted"):
        await client.close()
        await asyncio.sleep(away_s)
        await client.start()


def database_name(stage: Stage) -> str:
    return stage.site.environment["DATABASE_URL"].rpartition("/")[2].split("?")[0]


# For the soak: each with times drawn at random ----------------------------------------------------------------------


async def _kill(stage: Stage, rng: random.Random) -> None:
    await kill_server(stage, rng.choice(stage.site.processes), away_s=rng.uniform(0, 2))


async def _kill_all(stage: Stage, rng: random.Random) -> None:
    away_s = rng.uniform(0, 1.5)
    await asyncio.gather(*(kill_server(stage, each, away_s=away_s) for each in stage.site.processes))


async def _freeze(stage: Stage, rng: random.Random) -> None:
    await freeze_server(stage, rng.choice(stage.site.processes), seconds=rng.uniform(2, 12))


async def _restart_client(stage: Stage, rng: random.Random) -> None:
    durable = [each for each in stage.clients if each.is_durable]
    if durable:
        await restart_client(stage, rng.choice(durable), away_s=rng.uniform(0, 3))


ALWAYS: dict[str, Fault] = {
    "kill": _kill,
    "kill all": _kill_all,
    "freeze": _freeze,
    "cut": lambda stage, rng: cut_clients(stage, rng.choice((0.2, 0.5, 1.0)), rng),
    "lost answers": lambda stage, rng: lose_answers(stage, 0.5, rng, seconds=rng.uniform(0.1, 2)),
    "dead links": lambda stage, rng: hold_clients(stage, 0.4, rng, seconds=rng.uniform(2, 8)),
    "half-close": lambda stage, rng: half_close_clients(stage, 0.3, rng),
    "lost frames": lambda stage, rng: lose_frames(stage, rng.randint(1, 5)),
    "client": _restart_client,
}
WITH_REDIS: dict[str, Fault] = {
    "redis": lambda stage, rng: restart_redis(stage, away_s=rng.uniform(0, 8)),
    "redis frozen": lambda stage, rng: freeze_redis(stage, seconds=rng.uniform(3, 12)),
    "redis flushed": lambda stage, rng: flush_redis(stage),
    "redis pubsub": lambda stage, rng: end_subscriptions(stage),
    "redis half-open": lambda stage, rng: deafen_redis(stage, seconds=rng.uniform(1, 8)),
}
WITH_POSTGRESQL: dict[str, Fault] = {
    "postgres": lambda stage, rng: restart_postgres(stage, away_s=rng.uniform(0, 2)),
    "postgres terminated": lambda stage, rng: end_database_connections(stage),
    "postgres hangs": lambda stage, rng: hold_database(stage, seconds=rng.uniform(1, 6)),
    "commit unknown": lambda stage, rng: cut_after_commit(stage),
    "rollback": lambda stage, rng: cut_before_commit(stage),
}


async def cut_after_commit(stage: Stage) -> None:
    """The commit succeeds, and the server that asked for it can't know."""
    assert stage.database_link
    with stage.recorder.fault("commit unknown"):
        stage.database_link.cut_once_sent(b"COMMIT")
        await asyncio.sleep(0.2)


async def cut_before_commit(stage: Stage) -> None:
    """The transaction is rolled back at its very end."""
    assert stage.database_link
    with stage.recorder.fault("rolled back"):
        stage.database_link.cut_before(b"COMMIT")
        await asyncio.sleep(0.2)


def possible(stage: Stage) -> dict[str, Fault]:
    """The faults of the soak that this stage can have."""
    return {
        **ALWAYS,
        **(WITH_REDIS if stage.redis else {}),
        **(WITH_POSTGRESQL if stage.postgres else {}),
    }
