"""The one way to PostgreSQL: a pool for our own SQL, an engine for read models."""

import select
from typing import Any, Self

from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import URL, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from infrastructure.patience import PatientConnection, PatientPool

type Pool = AsyncConnectionPool[PatientConnection]

NAME = "langbuilder"
"""What our connections are called in ``pg_stat_activity``."""
CONNECT_TIMEOUT = 10
"""Seconds."""
TCP_USER_TIMEOUT = 15_000
"""Milliseconds that sent data may stay unanswered before the connection is lost."""
KEEPALIVES_IDLE = 30
"""Seconds of silence after which the system asks whether the other side is there."""


class Database:
    """
    An open database: autocommitting connections in a pool, and an engine beside it.

    ``dsn`` names the role that serves, ``migration_dsn`` the owner of the tables.
    """

    def __init__(
        self, *, dsn: str, migration_dsn: str, pool: Pool, engine: AsyncEngine
    ) -> None:
        self.dsn = dsn
        self.migration_dsn = migration_dsn
        self.pool = pool
        self.engine = engine

    @classmethod
    async def open(
        cls, dsn: str, *, migration_dsn: str | None = None, pool_size: int = 8
    ) -> Self:
        """Connect, or raise `psycopg_pool.PoolTimeout` after ten seconds."""
        pool = PatientPool(
            connection_string(dsn),
            connection_class=PatientConnection,
            min_size=1,
            max_size=pool_size,
            open=False,
            check=_check,
            kwargs={"autocommit": True},
            name=NAME,
        )
        try:
            await pool.open(wait=True, timeout=10)
        except BaseException:
            await pool.close()
            raise
        engine = create_async_engine(
            sqlalchemy_url(dsn),
            pool_size=(pool_size + 1) // 2,
            max_overflow=0,
            connect_args={"async_creator_fn": PatientConnection.connect},
        )
        event.listen(engine.sync_engine, "checkout", _check_checkout)
        return cls(
            dsn=dsn, migration_dsn=migration_dsn or dsn, pool=pool, engine=engine
        )

    async def close(self) -> None:
        """Return every connection and close it."""
        await self.engine.dispose()
        await self.pool.close()


async def _check(connection: AsyncConnection[tuple[Any, ...]]) -> None:
    """
    Refuse a connection that was lost while it waited, for the server has restarted.

    An idle server says nothing. Only where something came unasked, which is its
    farewell as a rule, does it take a round trip to know.
    """
    if _spoke(connection.pgconn.socket):
        await AsyncConnectionPool.check_connection(connection)


def _check_checkout(connection: Any, _record: object, _proxy: object) -> None:
    if _spoke(connection.driver_connection.pgconn.socket):
        raise DisconnectionError


def _spoke(socket: int) -> bool:
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))


def connection_string(dsn: str) -> str:
    """Return *dsn* with our name, times in UTC, and an end to waiting for the dead."""
    given = conninfo_to_dict(dsn)
    options = f"{given.get('options') or ''} -c timezone=UTC".strip()
    return make_conninfo(
        dsn,
        application_name=NAME,
        options=options,
        connect_timeout=given.get("connect_timeout") or CONNECT_TIMEOUT,
        keepalives_idle=given.get("keepalives_idle") or KEEPALIVES_IDLE,
        tcp_user_timeout=given.get("tcp_user_timeout") or TCP_USER_TIMEOUT,
    )


def sqlalchemy_url(dsn: str) -> URL:
    """Return what SQLAlchemy calls *dsn*, a libpq URL or connection string."""
    words = conninfo_to_dict(connection_string(dsn))
    user, password, database = (
        words.pop(key, None) for key in ("user", "password", "dbname")
    )
    return URL.create(
        "postgresql+psycopg",
        username=_text(user),
        password=_text(password),
        database=_text(database),
        query={key: str(word) for key, word in words.items() if word is not None},
    )


def _text(word: str | int | None) -> str | None:
    return None if word is None else str(word)
