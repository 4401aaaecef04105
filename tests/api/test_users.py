"""Users over HTTP: joining, changing, leaving."""

import asyncio
from uuid import UUID, uuid4

import httpx
import pytest

from api.composition import Application
from application.ports import SYSTEM, Cause
from application.superusers import LastSuperuserError
from tests.api.conftest import PASSWORD, Join, Person, drawn, signed_in


async def test_a_username_is_used_once(ada: Person, anybody: httpx.AsyncClient) -> None:
    answer = await anybody.post(
        "/api/v1/users/", json={"username": ada.username, "password": "x"}
    )

    assert answer.status_code == 400
    assert answer.json() == {"detail": "This username is unavailable."}


@pytest.mark.parametrize("username", ["", "x" * 256, "a\x00b", "a\nb"])
async def test_a_username_can_be_read_and_typed(
    anybody: httpx.AsyncClient, username: str
) -> None:
    answer = await anybody.post(
        "/api/v1/users/", json={"username": username, "password": "x"}
    )

    assert answer.status_code in {400, 422}


async def test_an_empty_password_is_refused(anybody: httpx.AsyncClient) -> None:
    answer = await anybody.post(
        "/api/v1/users/", json={"username": f"e-{uuid4()}", "password": ""}
    )

    assert answer.status_code == 400


async def test_a_profile_is_changed_and_an_unchanged_one_is_not(ada: Person) -> None:
    path = f"/api/v1/users/{ada.id}"
    optins = {"github_starred": True}

    changed = await ada.patch(path, json={"profile_image": "cat", "optins": optins})
    same = await ada.patch(path, json={"profile_image": "cat"})

    assert changed.status_code == 200
    assert changed.json()["profile_image"] == "cat"
    assert changed.json()["optins"]["github_starred"] is True
    assert same.status_code == 304


async def test_a_new_name_signs_in_and_the_old_one_is_free(
    join: Join, anybody: httpx.AsyncClient
) -> None:
    eve = await join("eve")
    renamed = f"eva-{uuid4().hex[:8]}"

    await eve.patch(f"/api/v1/users/{eve.id}", json={"username": renamed})

    answer = await anybody.post(
        "/api/v1/login", data={"username": renamed, "password": PASSWORD}
    )
    assert answer.status_code == 200
    taken = await anybody.post(
        "/api/v1/users/", json={"username": eve.username, "password": "x"}
    )
    assert taken.status_code == 201


async def test_people_do_not_set_their_password_in_their_profile(ada: Person) -> None:
    answer = await ada.patch(f"/api/v1/users/{ada.id}", json={"password": "x"})

    assert answer.status_code == 400
    assert answer.json() == {"detail": "You can't change your password here"}


async def test_what_a_new_user_has_agreed_to_is_remembered(
    anybody: httpx.AsyncClient,
) -> None:
    answer = await anybody.post(
        "/api/v1/users/",
        json={
            "username": f"agreeing-{uuid4().hex[:8]}",
            "password": PASSWORD,
            "optins": {"mcp_dialog_dismissed": True},
            "is_superuser": True,
            "is_active": False,
            "id": str(uuid4()),
        },
    )

    assert answer.status_code == 201
    made = answer.json()
    assert made["optins"] == {
        "github_starred": False,
        "dialog_dismissed": False,
        "discord_clicked": False,
        "mcp_dialog_dismissed": True,
    }
    # What people say of themselves that is not theirs to say is passed over.
    assert (made["is_superuser"], made["is_active"]) == (False, True)


async def test_a_user_as_clients_read_one(ada: Person) -> None:
    me = (await ada.get("/api/v1/users/whoami")).json()

    assert list(me) == [
        "id",
        "username",
        "profile_image",
        "store_api_key",
        "is_active",
        "is_superuser",
        "create_at",
        "updated_at",
        "last_login_at",
        "optins",
    ]
    assert me["last_login_at"] > me["create_at"]


async def test_people_see_themselves_and_superusers_everybody(
    ada: Person, bob: Person, root: Person
) -> None:
    path = f"/api/v1/users/{ada.id}"

    assert (await ada.get(path)).json() == (await root.get(path)).json()
    for foreign in (path, f"/api/v1/users/{uuid4()}"):
        answer = await bob.get(foreign)
        assert answer.status_code == 404
        assert answer.json() == {"detail": "User not found"}
    assert (await root.get(f"/api/v1/users/{uuid4()}")).status_code == 404


async def test_superusers_page_through_people_and_search_them(
    join: Join, root: Person
) -> None:
    mark = uuid4().hex[:6]
    people = [await join(f"Page_{mark}_{n}") for n in range(3)]

    answer = await root.get(f"/api/v1/users/?skip=1&limit=1&search=page_{mark}")
    wild = await root.get(f"/api/v1/users/?search=page%25{mark}")
    behind = await root.get(f"/api/v1/users/?skip=9&search=page_{mark}")

    assert answer.json()["total_count"] == 3
    assert [one["id"] for one in answer.json()["users"]] == [people[1].id]
    assert wild.json() == {"total_count": 0, "users": []}
    assert behind.json() == {"total_count": 3, "users": []}


async def test_nobody_changes_another(ada: Person, bob: Person) -> None:
    for user in (ada.id, str(uuid4())):
        answer = await bob.patch(f"/api/v1/users/{user}", json={"username": "x"})
        assert answer.status_code == 403
        assert answer.json() == {"detail": "Permission denied"}


async def test_a_superuser_gives_somebody_another_password(
    root: Person, join: Join, address: str
) -> None:
    eve = await join("eve")

    answer = await root.patch(f"/api/v1/users/{eve.id}", json={"password": "given"})

    assert answer.status_code == 200
    assert (await eve.get("/api/v1/users/whoami")).status_code == 401
    again = await signed_in(address, eve.username, "given")
    assert again.id == eve.id
    await again.aclose()


async def test_when_somebody_signed_in_is_not_theirs_to_say(ada: Person) -> None:
    path = f"/api/v1/users/{ada.id}"
    before = (await ada.get(path)).json()

    answer = await ada.patch(path, json={"last_login_at": "2001-01-01T00:00:00"})

    assert answer.status_code == 304
    assert (await ada.get(path)).json() == before


async def test_the_last_superuser_stays_one(
    root: Person, application: Application
) -> None:
    mine = f"/api/v1/users/{root.id}"
    for change in ({"is_superuser": False}, {"is_active": False}):
        answer = await root.patch(mine, json=change)
        assert answer.status_code == 400, answer.text
        assert answer.json() == {"detail": "The last active superuser stays one"}
    cause = Cause(actor=SYSTEM, command_id=uuid4(), correlation_id=uuid4())
    with pytest.raises(LastSuperuserError):
        await application.world.erasure.erase(SYSTEM, UUID(root.id), cause=cause)
    assert (await root.get("/api/v1/users/")).status_code == 200


async def test_of_two_superusers_who_demote_each_other_one_stays(
    root: Person, join: Join, application: Application
) -> None:
    eve = await join("eve")
    up, down = {"is_superuser": True}, {"is_superuser": False}
    hers, mine = f"/api/v1/users/{eve.id}", f"/api/v1/users/{root.id}"
    for _ in range(5):
        assert (await root.patch(hers, json=up)).status_code == 200

        answers = await asyncio.gather(
            root.patch(hers, json=down), eve.patch(mine, json=down)
        )

        users = application.world.users
        roots = (await users.get(UUID(root.id))).superuser
        eves = (await users.get(UUID(eve.id))).superuser
        assert {roots, eves} == {True, False}, [one.text for one in answers]
        if not roots:  # the other tests need her as she was
            assert (await eve.patch(mine, json=up)).status_code == 200
            assert (await root.patch(hers, json=down)).status_code == 200


async def test_a_superuser_makes_another(root: Person, join: Join) -> None:
    eve = await join("eve")

    answer = await root.patch(f"/api/v1/users/{eve.id}", json={"is_superuser": True})

    assert answer.json()["is_superuser"] is True
    assert (await eve.get("/api/v1/users/")).status_code == 200
    back = await eve.patch(f"/api/v1/users/{eve.id}", json={"is_superuser": False})
    assert back.json()["is_superuser"] is False
    assert (await eve.get("/api/v1/users/")).status_code == 403


async def test_a_deleted_user_is_gone_with_all_that_was_theirs(
    root: Person, join: Join, anybody: httpx.AsyncClient
) -> None:
    eve = await join("eve")
    flow = await eve.post(
        "/api/v1/flows/",
        json={"name": "left", "data": drawn("A-1"), "access_type": "PUBLIC"},
    )

    answer = await root.delete(f"/api/v1/users/{eve.id}")

    assert answer.json() == {"detail": "User deleted"}
    assert (await eve.get("/api/v1/users/whoami")).status_code == 401
    public = await anybody.get(f"/api/v1/flows/public_flow/{flow.json()['id']}")
    assert public.status_code == 403
    assert (await root.delete(f"/api/v1/users/{eve.id}")).status_code == 404


async def test_nobody_deletes_their_own_account(root: Person) -> None:
    answer = await root.delete(f"/api/v1/users/{root.id}")

    assert answer.status_code == 400
    assert answer.json() == {"detail": "You can't delete your own user account"}
