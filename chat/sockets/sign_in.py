"""Who a socket belongs to: found out from its handshake or its ``auth`` command, and greeted with ``hello``."""

import asyncio
import logging
from collections.abc import Callable

from chat.access import identity
from chat.access.identity import Identity
from chat.conf import conf
from chat.live.connection import Connection
from chat.process import Process
from chat.runtime import pools
from chat.runtime.safe_logging import describe
from chat.services import limits
from chat.sockets.hello import greeting
from chat.wire import protocol
from chat.wire.errors import AuthInvalid, Close

logger = logging.getLogger(__name__)

HANDSHAKE_S = 4.0
"""How long a handshake waits for the database. daphne cuts off one that takes 5 s."""


REFUSED_AFTER_S = 1.0
"""After how long whoever connects too often is looked up, and refused. A client that comes back after each refusal
comes once a second; refused at once, forty of them kept the event loop busy."""


async def welcomes(network: str) -> bool:
    """Whether a handshake from there may go on; False, after a while, if too many have come lately."""
    if limits.may_shake_hands(network):
        return True
    await asyncio.sleep(REFUSED_AFTER_S)
    return False


class SignIn:
    """Signs one connection in.

    Args:
        network: Where it comes from; empty if that is not known.
    """

    __slots__ = ("_connection", "_identity", "_network", "_no_token", "_process")

    def __init__(self, connection: Connection, process: Process, network: str):
        self._connection = connection
        self._process = process
        self._network = network
        self._identity: Identity | None = None
        self._no_token: asyncio.TimerHandle | None = None

    async def has_token(self, token: str) -> bool | None:
        """Whether the handshake's token is good. If so, ``begin`` signs in the person it stands for.

        None if the database could not be asked: the client must come back, and an exception here would be its HTTP 500.
        """
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                self._identity = await self._look_up(identity.from_token, token)
        except Exception as error:
            logger.warning("connection %s: %s", self._connection.id, describe(error))
            return None
        return self._identity is not None

    async def begin(self, session_key: str | None) -> bool:
        """Sign in by the handshake's token or session, or wait for an ``auth`` command for ``auth_s`` seconds.

        False if the database could not be asked; the connection is closed then.
        """
        try:
            if self._identity is None and session_key:
                self._identity = await self._look_up(identity.from_session, session_key)
            if self._identity is not None:
                await self._welcome(self._identity)
            else:
                loop = self._process.hub.loop
                self._no_token = loop.call_later(conf.auth_s, self._connection.close, Close.NO_TOKEN)
        except Exception as error:
            logger.error("connection %s: %s", self._connection.id, describe(error))
            self._connection.close(Close.NORMAL)
            return False
        return True

    async def authenticate(self, command: protocol.Auth) -> bool:
        """Sign in, or check again, by an ``auth`` command; the reply goes out in front of ``hello``.

        False if there was no reply because the connection was closed.

        Raises:
            AuthInvalid: The token does not stand for the person whom a live connection belongs to.
        """
        self.cancel()  # the frame came in time, however long the look-up takes
        try:
            identified = await self._identify(command.token)
            if identified is None:
                return False
            await self._welcome(identified, reply_to=command.ref)
        except AuthInvalid:
            raise
        except Exception:
            # Nothing limits an unsigned connection any more, and the database is away.
            self._connection.close(Close.NORMAL)
            raise
        return True

    def cancel(self) -> None:
        """Stop waiting for an ``auth`` command."""
        if self._no_token is not None:
            self._no_token.cancel()

    async def _look_up(self, look: Callable[[str], Identity | None], proof: str | None) -> Identity | None:
        """Find out what a token or a session's key proves. Networks take turns: nobody's flood of handshakes is before
        everybody's sign-in."""
        if proof is None:
            return None
        key = identity.digest(proof)
        if not limits.may_connect(key):
            await asyncio.sleep(REFUSED_AFTER_S)
        return await pools.auth.run_for(self._network or key, look, proof)

    async def _identify(self, token: str | None) -> Identity | None:
        """The identity that a token proves; None if the connection was closed for it."""
        known = self._connection.identity
        if known is None:
            identified = await self._look_up(identity.from_token, token)
            if identified is None:
                self._connection.close(Close.NOT_SIGNED_IN)
            return identified
        if token is None:
            # Without a token, the session or token of this connection is checked again.
            check = await pools.auth.run_for(known.user_id, identity.check, [known])
            if (code := check.ended.get(known)) is not None:
                self._connection.close(code)
                return None
            return known
        identified = await self._look_up(identity.from_token, token)
        if identified is None or identified.user.pk != known.user.pk:
            raise AuthInvalid
        return identified

    async def _welcome(self, identified: Identity, reply_to: int | None = None) -> None:
        """Sign the connection in, answer the ``auth`` command if there was one, and say hello."""
        is_new = self._connection.identity is None
        self._connection.sign_in(identified)
        if is_new:
            # Into the hub first: what happens to this person while hello is read must not pass the connection by.
            if not limits.may_connect(identified.user_id) or not self._process.hub.open(self._connection):
                await asyncio.sleep(REFUSED_AFTER_S)
                self._connection.close(Close.FLOODING)
                return
            self._process.heartbeat.add(self._connection)
        asks_for_received = self._connection.asks_for_received
        told = await greeting(self._process, identified.user, asks_for_received=asks_for_received)
        self._process.hub.learn_version(identified.user_id, told.rooms_version)
        self._connection.greeted = told.rooms
        first = [told.encoded]
        if reply_to is not None:
            first.insert(0, protocol.encode(protocol.ReplyEvent(ref=reply_to, ok=True, result={"user": told.person})))
        self._process.hub.greet(self._connection, first)
