"""Another secret takes the place of the one that wraps all keys; nothing is lost."""

import os
import stat
from uuid import UUID, uuid4

import pytest
from psycopg import AsyncConnection

from application.keys import Keys
from application.permissions import PrivilegeError
from application.ports import SYSTEM, Actor, Cause
from domain.operation.events import MasterKeyRotated
from infrastructure.event_store.memory import MemoryEventStore
from infrastructure.event_store.migrate import finish
from infrastructure.installation_keys import (
    AT_A_TIME,
    PostgresWrapping,
    _do,
    keyring_in,
)
from infrastructure.keyring import Keyring, WrongKeyError
from infrastructure.master_secrets import (
    CURRENT,
    EARLIER,
    MasterSecrets,
    forget_earlier,
    renew,
)
from infrastructure.postgres import Database
from infrastructure.settings import Settings, load
from infrastructure.subject_keys import PostgresSubjectKeys

A, B = "the first secret of this installation", "the second secret of this one"
ANNA = UUID(int=1)


def knowing(*secrets: str) -> MasterSecrets:
    return MasterSecrets(lambda: secrets)


def nothing(_: int) -> None:
    pass


def because(actor: Actor = SYSTEM) -> Cause:
    return Cause(actor=actor, command_id=uuid4(), correlation_id=uuid4())


def told(keyring: Keyring) -> tuple[str, str, bytes, bytes]:
    """Return what must stay the same whatever the secret is."""
    return (
        keyring.digest(b"x"),
        keyring.bearer_hash("sk-x"),
        keyring.sign_history(b"x"),
        keyring.signing,
    )


async def tombstones(database: Database) -> int:
    async with database.pool.connection() as connection:
        rows = await connection.execute(
            "SELECT count(*) FROM es.subject_keys WHERE wrapped = ''"
        )
        [(count,)] = await rows.fetchall()
        return int(count)


@pytest.mark.server
async def test_a_new_installation_draws_its_keys_by_lot(database: Database) -> None:
    first = await keyring_in(database, knowing(A))
    second = await keyring_in(database, knowing(A))

    assert told(first) == told(second)
    assert not set(told(first)) & set(told(Keyring(A)))


@pytest.mark.server
async def test_an_older_installation_keeps_what_its_secret_stood_for(
    database: Database,
) -> None:
    async with await AsyncConnection.connect(
        database.migration_dsn, autocommit=True
    ) as owner:
        await owner.execute("DELETE FROM es.features")
    await PostgresSubjectKeys(database, Keyring(A)).of(ANNA)

    # Even where the secret is being changed at the very first start.
    assert told(await keyring_in(database, knowing(B, A))) == told(Keyring(A))

    assert await finish(database.migration_dsn) == ["sealed_states"]
    assert await finish(database.migration_dsn) == []
    assert told(await keyring_in(database, knowing(B, A))) == told(Keyring(A))


@pytest.mark.server
async def test_after_a_rotation_the_new_secret_does_alone(database: Database) -> None:
    before = await keyring_in(database, knowing(A))
    keys = PostgresSubjectKeys(database, before)
    subjects = [uuid4() for _ in range(20)]
    sealed = {one: (await keys.of(one)).seal(b"x", bound_to=b"") for one in subjects}
    store, both = MemoryEventStore(), knowing(B, A)
    wrapping = PostgresWrapping(database, both)
    assert [(one.key_id, one.subjects) for one in await wrapping.counted()] == [
        (before.id, 20)
    ]
    during = PostgresSubjectKeys(database, await keyring_in(database, both))
    await during.of(ANNA)

    done = await Keys(store, wrapping).rotate(cause=because(), progress=nothing)

    assert done == {before.id: 24}
    [counted] = await wrapping.counted()
    assert (counted.key_id, counted.subjects, counted.current) == (both.id, 21, True)
    [recorded] = await store.read_log("core")
    assert recorded.event == MasterKeyRotated(before=before.id, after=both.id, keys=24)
    alone = await keyring_in(database, knowing(B))
    assert told(alone) == told(before)
    after = await PostgresSubjectKeys(database, alone).of_each(subjects)
    for subject, key in after.items():
        assert key is not None
        assert key.open(sealed[subject], bound_to=b"") == b"x"
    with pytest.raises(WrongKeyError, match=both.id):
        await keyring_in(database, knowing(A))


@pytest.mark.server
async def test_a_rotation_that_was_cut_short_goes_on(database: Database) -> None:
    keyring = await keyring_in(database, knowing(A))
    names = [uuid4() for _ in range(AT_A_TIME + 10)]
    async with database.pool.connection() as connection:
        await connection.execute(
            "INSERT INTO es.subject_keys SELECT unnest(%s::uuid[]),"
            " unnest(%s::bytea[]), %s",
            [names, [keyring.wrap(one, os.urandom(32)) for one in names], keyring.id],
        )
    wrapping = PostgresWrapping(database, knowing(B, A))

    def cut(count: int) -> None:
        if count == AT_A_TIME:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await wrapping.rewrap(cut)
    # In the middle, servers that know both can open everything.
    both = PostgresSubjectKeys(database, await keyring_in(database, knowing(A, B)))
    assert len(await both.of_each(names)) == len(names)

    assert await wrapping.rewrap(nothing) == {keyring.id: 10}
    assert await wrapping.rewrap(nothing) == {}


@pytest.mark.server
async def test_who_is_erased_meanwhile_stays_erased(database: Database) -> None:
    keyring = await keyring_in(database, knowing(A))
    await PostgresSubjectKeys(database, keyring).of(ANNA)
    async with database.pool.connection() as connection:
        rows = await connection.execute("SELECT wrapped FROM es.subject_keys")
        [(read,)] = await rows.fetchall()
        await connection.execute("UPDATE es.subject_keys SET wrapped = '', key_id = ''")

    await _do(
        database,
        "rewrap_subjects",
        names=[ANNA],
        old=[read],
        new=[b"would come back"],
        key_id="any",
    )

    assert await tombstones(database) == 1
    assert await PostgresWrapping(database, knowing(B, A)).rewrap(nothing)
    assert await tombstones(database) == 1


async def test_only_superusers_rotate() -> None:
    class Untouchable(PostgresWrapping):
        def __init__(self) -> None:
            pass

    with pytest.raises(PrivilegeError):
        await Keys(MemoryEventStore(), Untouchable()).rotate(
            cause=because(Actor(ANNA)), progress=nothing
        )


def test_a_running_server_learns_of_a_new_secret_in_the_directory(
    settings: Settings,
) -> None:
    running = MasterSecrets.of(settings)
    before = running.id
    theirs = running.wrap(b"old", bound_to=b"")
    renew(settings.data_path)
    renewed = MasterSecrets.of(settings)

    assert renewed.ids == [renewed.id, before]
    assert renewed.unwrap(theirs, bound_to=b"", key_id=before) == b"old"
    ours = renewed.wrap(b"new", bound_to=b"")
    assert running.unwrap(ours, bound_to=b"", key_id=renewed.id) == b"new"
    assert running.id == renewed.id  # and it wraps by the new one from now on

    for name in (CURRENT, EARLIER):
        assert stat.S_IMODE((settings.data_path / name).stat().st_mode) == 0o600
    renew(settings.data_path)
    assert MasterSecrets.of(settings).id == renewed.id  # not again before it is done
    assert forget_earlier(settings.data_path)
    assert MasterSecrets.of(settings).ids == [renewed.id]


def test_a_renewal_that_was_cut_short_goes_on(settings: Settings) -> None:
    before = MasterSecrets.of(settings).id
    path = settings.data_path
    (path / EARLIER).write_bytes((path / CURRENT).read_bytes())

    renew(path)

    current, earlier = MasterSecrets.of(settings).ids
    assert current != before == earlier


def test_several_secrets_can_be_known_besides() -> None:
    settings = load(
        {
            "LANGBUILDER_SECRET_KEY": f"{B}, with a comma",
            "LANGBUILDER_PREVIOUS_SECRET_KEY": f"{A},{B}",
        },
        env_file=None,
    )

    known = MasterSecrets.of(settings).ids

    assert known[0] == Keyring(f"{B}, with a comma").id
    assert {Keyring(A).id, Keyring(B).id, Keyring(f"{A},{B}").id} < set(known)
