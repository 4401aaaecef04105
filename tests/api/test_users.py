"""Users over HTTP: joining, changing, leaving."""

from uuid import uuid4

import httpx
import pytest

from tests.api.conftest import PASSWORD, Join, Person, drawn


async def test_a_username_is_used_once(ada: Person, anybody: httpx.AsyncClient) -> None:
    answer = await anybody.post(
        "/api/v1/users/", json={"username": ada.username, "password": "x"}
    )

    assert answer.status_code == 400
    assert answer.json() == {"detail": "This username is unavailable"}


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


async def test_a_superuser_makes_another(root: Person, join: Join) -> None:
    eve = await join("eve")

    answer = await root.patch(f"/api/v1/users/{eve.id}", json={"is_superuser": True})

    assert answer.json()["is_superuser"] is True
    assert (await eve.get("/api/v1/users/")).status_code == 200


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
