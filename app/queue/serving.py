"""Connections that leave a server which no longer serves: a primary that a failover has demoted.

redis-py keeps such a connection, so that its process would fail until somebody restarts it, though
a new one, by the same name, leads to the new primary.
"""

from __future__ import annotations

from typing import Any

from redis import exceptions
from redis.connection import HiredisRespSerializer

from app.queue.alerts import missed_alert, missed_alert_of_loop

# What a server answers that is not, or no longer, the primary to talk to. UNBLOCKED ends a wait in
# a server that is demoted meanwhile; NOREPLICAS is a primary's that its replicas have left.
ELSEWHERE = ("READONLY", "UNBLOCKED", "MASTERDOWN", "NOREPLICAS")


class NotServing(exceptions.ConnectionError):
    """The server refuses, and the connection to it is closed; nothing was done."""

    def __init__(self, answer: str, place: str) -> None:
        """`answer` is the server's, `place` where it is."""
        super().__init__(answer)
        self.place = place


def place_of(error: BaseException) -> str:
    """Where the server is that an error of these connections comes from; "" if none has told."""
    return str(vars(error).get("place", ""))


def answer_of(error: exceptions.RedisError) -> str:
    """What the server has answered, with the code that the client takes off some answers."""
    answer = str(error)
    if error.status_code and not answer.startswith(error.status_code):
        return f"{error.status_code} {answer}"
    return answer


def _serves_elsewhere(error: exceptions.RedisError) -> bool:
    is_answer = isinstance(error, exceptions.ResponseError)
    return is_answer and answer_of(error).startswith(ELSEWHERE)


class Serving:
    """A mixin for connections: one to a server that does not serve is closed.

    The client's one retry then goes by the name, or asks the sentinels, again. Errors learn where
    their server is.
    """

    place = ""  # of the client whose class this is

    def connect_check_health(self, *arguments: Any, **options: Any) -> None:
        """Connect and greet the server."""
        try:
            super().connect_check_health(*arguments, **options)  # type: ignore[misc]  # a mixin
        except exceptions.RedisError as error:
            vars(error)["place"] = self.place
            if alert := missed_alert(self, error):
                raise error from alert
            raise

    def read_response(self, *arguments: Any, **options: Any) -> Any:
        """A command's answer. Raises NotServing."""
        try:
            return super().read_response(*arguments, **options)  # type: ignore[misc]  # a mixin
        except exceptions.RedisError as error:
            vars(error)["place"] = self.place
            if not _serves_elsewhere(error):
                raise
            self.disconnect()  # type: ignore[attr-defined]  # a mixin
            raise NotServing(answer_of(error), self.place) from error


class AsyncServing:
    """The same for the event loop's connections, of which a client counts how many it has made.

    Commands are packed in C, which redis-py does for `Redis` only: in Python it costs as much as
    the rest of what a job costs the web process at Redis.
    """

    _serializer = HiredisRespSerializer()
    place = ""  # of the client whose class this is
    made = 0  # by that client

    async def connect_check_health(self, *arguments: Any, **options: Any) -> None:
        """Connect and greet the server."""
        tls: Any = getattr(self, "ssl_context", None)
        if tls is not None and not self.is_connected:  # type: ignore[attr-defined]  # a mixin
            tls.context = None  # its files may have been renewed; threads read them each time
        try:
            await super().connect_check_health(*arguments, **options)  # type: ignore[misc]  # a mixin
        except exceptions.RedisError as error:
            vars(error)["place"] = self.place
            if alert := await missed_alert_of_loop(self, error):
                raise error from alert
            raise

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        """Greet the server."""
        await super().on_connect_check_health(check_health)  # type: ignore[misc]  # a mixin
        type(self).made += 1

    def pack_command(self, *arguments: Any) -> list[bytes]:
        """The bytes of a command."""
        packed: list[bytes] = self._serializer.pack(*arguments)
        return packed

    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        """A command's answer. Raises NotServing."""
        try:
            return await super().read_response(*arguments, **options)  # type: ignore[misc]  # a mixin
        except exceptions.RedisError as error:
            vars(error)["place"] = self.place
            if not _serves_elsewhere(error):
                raise
            await self.disconnect()  # type: ignore[attr-defined]  # a mixin
            raise NotServing(answer_of(error), self.place) from error


def place_of_client(client: Any) -> str:
    """Where a client of ours connects to."""
    return str(getattr(client.connection_pool.connection_class, "place", ""))


def connections_made(client: Any) -> int:
    """How many connections a client of `open_async_redis` has made so far."""
    return int(client.connection_pool.connection_class.made)
