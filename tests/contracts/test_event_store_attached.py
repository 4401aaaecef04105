"""What every event store promises about the rows written along with events."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from application.ports import (
    Attached,
    Claim,
    ClaimTakenError,
    ConcurrencyError,
    Lease,
    Owned,
    Position,
    Sealed,
)
from tests.contracts.event_stores import (
    OWNER,
    Named,
    Stored,
    Talk,
    because,
    content,
)

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


async def attach(stored: Stored, **attached: object) -> None:
    await stored.store.save(cause=because(), attached=Attached(**attached))  # type: ignore[arg-type]  # tests know what they attach


async def test_a_name_is_borne_by_one(stored: Stored) -> None:
    first, second = Named.called("a"), Named.called("b")
    mine = Claim("name", "x", first.id)
    theirs = Claim("name", "x", second.id)
    await stored.store.save(first, cause=because(), attached=Attached(claims=[mine]))

    with pytest.raises(ClaimTakenError) as refused:
        await stored.store.save(
            second,
            cause=because(),
            attached=Attached(claims=[Claim("name", "free", second.id), theirs]),
        )

    assert refused.value.claim == theirs
    assert await stored.claims.holder("name", "x") == first.id
    assert await stored.claims.holder("name", "free") is None
    assert await stored.claims.holder("other", "x") is None


async def test_claiming_again_what_one_bears_changes_nothing(stored: Stored) -> None:
    claim = Claim("name", "x", uuid4())
    await attach(stored, claims=[claim])
    await attach(stored, claims=[claim])

    assert await stored.claims.holder("name", "x") == claim.holder


async def test_of_many_claims_at_once_one_is_granted(stored: Stored) -> None:
    outcomes = await asyncio.gather(
        *(attach(stored, claims=[Claim("name", "x", uuid4())]) for _ in range(20)),
        return_exceptions=True,
    )

    assert sum(one is None for one in outcomes) == 1
    assert sum(isinstance(one, ClaimTakenError) for one in outcomes) == 19


async def test_names_are_shared_by_both_logs(stored: Stored) -> None:
    for number in range(20):
        named, talk = Named.called("a"), Talk.opened()
        outcomes = await asyncio.gather(
            *(
                stored.store.save(
                    one,
                    cause=because(),
                    attached=Attached(claims=[Claim("name", str(number), one.id)]),
                )
                for one in (named, talk)
            ),
            return_exceptions=True,
        )
        assert sum(isinstance(one, ClaimTakenError) for one in outcomes) == 1
        assert await stored.claims.holder("name", str(number)) in {named.id, talk.id}


async def test_a_released_name_can_be_claimed(stored: Stored) -> None:
    claim = Claim("name", "x", uuid4())
    await attach(stored, claims=[claim])
    await attach(stored, released=[Claim("name", "x", uuid4())])
    assert await stored.claims.holder("name", "x") == claim.holder

    await attach(stored, released=[claim])

    assert await stored.claims.holder("name", "x") is None


async def test_a_name_is_passed_on_in_one_save(stored: Stored) -> None:
    old, new = uuid4(), uuid4()
    await attach(stored, claims=[Claim("name", "x", old)])

    await attach(
        stored, released=[Claim("name", "x", old)], claims=[Claim("name", "x", new)]
    )

    assert await stored.claims.holder("name", "x") == new


async def test_names_are_listed_by_how_they_begin(stored: Stored) -> None:
    keys = ["a/Flow", "a/Flow (1)", "a/flow", "a/Flow%", "a/Fl", "b/Flow", "a/Flö"]
    names = {key: Claim("name", key, uuid4()) for key in keys}
    await attach(stored, claims=list(names.values()))
    await attach(stored, claims=[Claim("other", "a/Flow (2)", uuid4())])

    assert await stored.claims.taken("name", "a/Flow") == [
        names["a/Flow"],
        names["a/Flow (1)"],
        names["a/Flow%"],
    ]
    assert await stored.claims.taken("name", "a/Flow%") == [names["a/Flow%"]]
    assert await stored.claims.taken("name", "z") == []


async def test_ownership_is_written_replaced_and_removed(stored: Stored) -> None:
    flow, project, other = uuid4(), uuid4(), uuid4()
    await attach(
        stored,
        owned=[
            Owned(flow, "flow", OWNER, project),
            Owned(project, "project", OWNER, project),
        ],
    )
    assert await stored.ownership.of(flow) == Owned(flow, "flow", OWNER, project)
    assert await stored.ownership.in_project(project, "flow") == [flow]

    await attach(stored, owned=[Owned(flow, "flow", OWNER, other)])
    assert await stored.ownership.in_project(project, "flow") == []
    assert await stored.ownership.in_project(other, "flow") == [flow]

    await attach(stored, disowned=[flow, uuid4()])
    assert await stored.ownership.of(flow) is None
    assert await stored.ownership.of(project) is not None
    assert await stored.ownership.of_each([flow, project, uuid4()]) == [
        Owned(project, "project", OWNER, project)
    ]


async def test_what_has_no_project_is_owned_too(stored: Stored) -> None:
    run = Owned(uuid4(), "run", OWNER)
    await attach(stored, owned=[run])

    assert await stored.ownership.of(run.resource) == run


async def test_contents_and_secrets_are_kept_until_forgotten(stored: Stored) -> None:
    kept, gone = content(), content()
    secret = Sealed(uuid4(), OWNER, "password", b"\x00\x01")
    await attach(stored, contents=[kept, gone], secrets=[secret])
    assert await stored.contents() == {kept.ref.id: kept, gone.ref.id: gone}
    assert await stored.secrets() == {secret.id: secret}

    await attach(stored, forgotten=[gone.ref.id], destroyed=[secret.id])

    assert await stored.contents() == {kept.ref.id: kept}
    assert await stored.secrets() == {}


async def test_a_content_in_the_blob_store_is_named_by_its_address(
    stored: Stored,
) -> None:
    sealed = content(sealed=b"")
    far = type(sealed)(sealed.ref, OWNER, b"", "ab" * 32)
    await attach(stored, contents=[far])

    assert await stored.contents() == {far.ref.id: far}


async def test_a_lease_is_taken_renewed_and_released(stored: Stored) -> None:
    run, other = uuid4(), uuid4()
    lease = Lease(run, "worker-1", 1, NOON)
    await attach(stored, leases=[lease, Lease(other, "worker-2", 1, NOON)])

    later = NOON + timedelta(seconds=20)
    held = await stored.leases.renew("worker-1", [run, other, uuid4()], until=later)

    assert held == {run}
    assert await stored.leases.expired(now=NOON) == []
    [stale] = await stored.leases.expired(now=NOON + timedelta(seconds=1))
    assert stale.run == other

    await attach(stored, leases=[Lease(run, "worker-2", 2, later)])
    assert await stored.leases.renew("worker-1", [run], until=later) == set()

    await attach(stored, unleased=[run, other])
    assert await stored.leases.expired(now=later + timedelta(days=1)) == []


async def test_a_refused_save_leaves_nothing_of_all_this(stored: Stored) -> None:
    named = Named.called("a")
    await stored.store.save(named, cause=because())
    head = await stored.store.head()
    standing = content()
    holder = uuid4()
    await attach(
        stored, contents=[standing], claims=[Claim("name", "standing", holder)]
    )
    resource = uuid4()

    with pytest.raises(ConcurrencyError):
        await stored.store.save(
            Named.called("late", at=named.id),
            cause=because(),
            attached=Attached(
                claims=[Claim("name", "x", resource)],
                released=[Claim("name", "standing", holder)],
                owned=[Owned(resource, "flow", OWNER)],
                contents=[content()],
                forgotten=[standing.ref.id],
                secrets=[Sealed(uuid4(), OWNER, "k", b"s")],
                leases=[Lease(resource, "w", 1, NOON)],
            ),
        )

    assert await stored.store.head() == head
    assert await stored.claims.holder("name", "x") is None
    assert await stored.claims.holder("name", "standing") == holder
    assert await stored.ownership.of(resource) is None
    assert await stored.contents() == {standing.ref.id: standing}
    assert await stored.secrets() == {}
    assert await stored.leases.expired(now=NOON + timedelta(days=1)) == []


async def test_a_repeated_command_attaches_nothing(stored: Stored) -> None:
    cause = because(key=UUID(int=5))
    await stored.store.save(Named.called("a"), cause=cause)

    await stored.store.save(
        Named.called("b"), cause=cause, attached=Attached(contents=[content()])
    )

    assert await stored.contents() == {}


async def test_neighbours_of_a_refused_save_stand(stored: Stored) -> None:
    taken = Named.called("a")
    await stored.store.save(taken, cause=because())

    async def save(number: int) -> Position:
        named = Named.called(
            str(number), at=taken.id if number % 3 == 0 else UUID(int=number)
        )
        claim = Claim("name", str(number), named.id)
        saved = await stored.store.save(
            named, cause=because(), attached=Attached(claims=[claim])
        )
        return saved.position

    outcomes = await asyncio.gather(
        *(save(number) for number in range(30)), return_exceptions=True
    )

    for number, outcome in enumerate(outcomes):
        holder = await stored.claims.holder("name", str(number))
        if number % 3 == 0:
            assert isinstance(outcome, ConcurrencyError)
            assert holder is None
        else:
            [recorded] = await stored.store.read_stream("core", UUID(int=number))
            assert outcome == Position(core=recorded.position)
            assert holder == UUID(int=number)


async def test_the_last_canvas_wins(stored: Stored) -> None:
    flow, other = uuid4(), uuid4()
    assert await stored.canvas.of_each([flow]) == {}
    last = {"viewport": {"x": 2, "zoom": 0.5}, "name": "ü\x00"}

    await stored.canvas.put({flow: {"viewport": {"x": 1, "zoom": 0.5}}})
    await stored.canvas.put({flow: last, other: {"viewport": None}})
    assert await stored.canvas.of_each([flow, other, uuid4()]) == {
        flow: last,
        other: {"viewport": None},
    }

    await stored.canvas.drop([flow])
    assert await stored.canvas.of_each([flow, other]) == {other: {"viewport": None}}
