"""What an erasure finds of somebody beside contents, names and sessions."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Json

from application.ports import Attached, Claim, Owned
from infrastructure.event_store.remains import AT_A_TIME, PostgresEstate
from infrastructure.postgres import Database
from infrastructure.subject_keys import PostgresSubjectKeys
from tests.contracts.event_stores import KEYRING, Diary, NoBlobs, Stored, because

pytestmark = pytest.mark.server
ANNA, BERT = UUID(int=1), UUID(int=2)


@pytest.fixture
def estate(database: Database) -> PostgresEstate:
    return PostgresEstate(database, PostgresSubjectKeys(database, KEYRING), NoBlobs())


async def told(database: Database, query: str, *values: Any) -> list[tuple[Any, ...]]:
    async with database.pool.connection() as connection:
        found = await connection.execute(query.encode(), values)
        return await found.fetchall() if found.description else []


async def parked(database: Database, stream: UUID, position: int) -> None:
    await told(
        database,
        "INSERT INTO es.dead_letters (projection, version, log, position, stream,"
        " reason) VALUES ('users', 1, 'core', %s, %s, 'a canary')",
        position,
        stream,
    )


async def test_what_went_wrong_with_their_events_quotes_nobody_any_more(
    stored_in_postgres: Stored, database: Database, estate: PostgresEstate
) -> None:
    mine, stray, berts = (Diary.kept("a", of=of) for of in (ANNA, ANNA, BERT))
    owned = [Owned(mine.id, "flow", ANNA), Owned(berts.id, "flow", BERT)]
    saved = await stored_in_postgres.store.save(
        mine, stray, berts, cause=because(), attached=Attached(owned=owned)
    )
    first = saved.position.core - 2
    for nth, diary in enumerate((mine, stray, berts)):
        await parked(database, diary.id, first + nth)
    failure = {"reason": "a canary", "stream": str(mine.id), "log": "core"}
    await told(
        database,
        "INSERT INTO es.projections (name, version, log, failure)"
        " VALUES ('users', 2, 'core', %s)",
        Json(failure),
    )

    await estate.close(ANNA)
    gone = await estate.clear(ANNA)

    letters = await told(database, "SELECT stream, reason FROM es.dead_letters")
    assert dict(letters) == {
        mine.id: "erased",
        stray.id: "erased",
        berts.id: "a canary",
    }
    [(kept,)] = await told(database, "SELECT failure FROM es.projections")
    assert kept == failure | {"reason": "erased"}
    assert gone == {"dead_letters": 2, "failures": 1, "resources": 1}
    assert await estate.clear(ANNA) == {}


async def test_of_many_things_none_is_forgotten(
    stored_in_postgres: Stored, database: Database, estate: PostgresEstate
) -> None:
    things = [uuid4() for _ in range(AT_A_TIME + 3)]
    await stored_in_postgres.store.save(
        cause=because(),
        attached=Attached(
            claims=[
                *(Claim("flow-name", f"{ANNA}/{one}", one) for one in things),
                Claim("username", "anna", ANNA),
                Claim("installation", "first-superuser", ANNA),
                Claim("username", "bert", BERT),
            ],
            owned=[
                *(Owned(one, "flow", ANNA) for one in things),
                Owned(ANNA, "user", ANNA),
                Owned(BERT, "user", BERT),
            ],
        ),
    )

    await estate.close(ANNA)
    gone: Mapping[str, int] = await estate.clear(ANNA)

    assert gone == {"claims": len(things) + 1, "resources": len(things) + 1}
    claims = await told(database, "SELECT kind FROM es.claims ORDER BY kind")
    # The first user is not made again because they left.
    assert claims == [("installation",), ("username",)]
    assert await told(database, "SELECT resource FROM es.ownership") == [(BERT,)]


async def test_flows_are_found_in_pieces(
    stored_in_postgres: Stored, estate: PostgresEstate
) -> None:
    flows = sorted(uuid4() for _ in range(AT_A_TIME + 1))
    owned = [Owned(flow, "flow", ANNA) for flow in flows]
    await stored_in_postgres.store.save(
        cause=because(), attached=Attached(owned=[*owned, Owned(ANNA, "user", ANNA)])
    )

    first = await estate.flows(ANNA, after=None)
    rest = await estate.flows(ANNA, after=first[-1])

    assert [*first, *rest] == flows
    assert await estate.flows(ANNA, after=flows[-1]) == []
