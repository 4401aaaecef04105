"""Signing in, staying in and being put out."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import jwt
import pytest

from api.composition import Application
from tests.api.conftest import PASSWORD, Join, Person, signed_in

WHOAMI = "/api/v1/users/whoami"


@pytest.fixture(scope="module")
async def ada(join: Join) -> Person:
    """Somebody of these tests alone, for they count what she has."""
    return await join("ada")


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def sign_in(
    client: httpx.AsyncClient, username: str, password: str = PASSWORD
) -> httpx.Response:
    return await client.post(
        "/api/v1/login", data={"username": username, "password": password}
    )


async def test_a_wrong_password_and_an_unknown_name_read_the_same(
    ada: Person, anybody: httpx.AsyncClient
) -> None:
    wrong = await sign_in(anybody, ada.username, "wrong")
    unknown = await sign_in(anybody, "nobody-at-all", "wrong")

    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == {"detail": "Incorrect username or password"}
    assert wrong.json() == unknown.json()
    assert wrong.headers["www-authenticate"] == "Bearer"


async def test_a_new_user_waits_for_approval_where_that_is_asked(
    root: Person, join: Join, anybody: httpx.AsyncClient, application: Application
) -> None:
    new = await anybody.post(
        "/api/v1/users/", json={"username": "patient", "password": PASSWORD}
    )
    await root.patch(f"/api/v1/users/{new.json()['id']}", json={"is_active": False})

    answer = await sign_in(anybody, "patient")

    assert answer.status_code == 400
    assert answer.json() == {"detail": "Waiting for approval"}


async def test_somebody_put_out_does_not_wait_for_approval(
    root: Person, join: Join, anybody: httpx.AsyncClient
) -> None:
    eve = await join("eve")
    await root.patch(f"/api/v1/users/{eve.id}", json={"is_active": False})

    answer = await sign_in(anybody, eve.username)

    assert answer.status_code == 401
    assert answer.json() == {"detail": "Inactive user"}
    wrong = await sign_in(anybody, eve.username, "wrong")
    assert wrong.json() == {"detail": "Incorrect username or password"}


def cookies_of(answer: httpx.Response) -> dict[str, dict[str, str | None]]:
    found = {}
    for line in answer.headers.get_list("set-cookie"):
        first, *rest = [part.strip() for part in line.split(";")]
        name, _, value = first.partition("=")
        words = [part.partition("=") for part in rest]
        said = {key.lower(): word or None for key, _, word in words}
        found[name] = said | {"value": value.strip('"') or None}
    return found


async def test_the_cookies_of_a_sign_in_are_those_that_clients_know(
    ada: Person, anybody: httpx.AsyncClient
) -> None:
    entered = await sign_in(anybody, ada.username)
    anybody.cookies.clear()
    tokens = entered.json()

    assert tokens.keys() == {"access_token", "refresh_token", "token_type"}
    assert tokens["token_type"] == "bearer"
    assert cookies_of(entered) == {
        "access_token_lf": {
            "value": tokens["access_token"],
            "max-age": "3600",
            "path": "/",
            "samesite": "lax",
        },
        "refresh_token_lf": {
            "value": tokens["refresh_token"],
            "max-age": str(7 * 24 * 3600),
            "path": "/",
            "samesite": "none",
            "secure": None,
            "httponly": None,
        },
        "apikey_tkn_lflw": {"value": None, "path": "/", "samesite": "lax"},
    }


@pytest.mark.parametrize("path", ["/api/v1/refresh", "/api/v1/login/refresh"])
async def test_who_renews_is_not_told_of_the_store_again(
    ada: Person, anybody: httpx.AsyncClient, path: str
) -> None:
    tokens = (await sign_in(anybody, ada.username)).json()
    anybody.cookies.clear()
    cookie = {"Cookie": f"refresh_token_lf={tokens['refresh_token']}"}

    renewed = await anybody.post(path, headers=cookie)

    assert renewed.status_code == 200
    assert cookies_of(renewed).keys() == {"access_token_lf", "refresh_token_lf"}


async def test_signing_out_deletes_the_cookies_as_they_were_set(
    ada: Person, anybody: httpx.AsyncClient
) -> None:
    entered = await sign_in(anybody, ada.username)
    anybody.cookies.clear()

    left = await anybody.post(
        "/api/v1/logout", headers=bearing(entered.json()["access_token"])
    )

    before, after = cookies_of(entered), cookies_of(left)
    assert before.keys() == after.keys()
    for name, words in after.items():
        assert words.pop("max-age") == "0"
        before[name].pop("max-age", None)
        assert words.pop("value") is None
        before[name].pop("value")
        assert words == before[name]


@pytest.mark.parametrize("path", ["/api/v1/auto_login", "/api/v1/login/auto"])
async def test_nobody_is_let_in_unasked_unless_the_operator_said_so(
    anybody: httpx.AsyncClient, path: str
) -> None:
    answer = await anybody.get(path)

    assert answer.status_code == 400
    assert answer.json() == {
        "detail": {
            "message": "Auto login is disabled. Please enable it in the settings",
            "auto_login": False,
        }
    }


async def test_a_link_signs_in_once(
    application: Application, ada: Person, anybody: httpx.AsyncClient
) -> None:
    token = await application.world.sessions.link_for(
        UUID(ada.id), ttl=timedelta(minutes=1)
    )

    first = await anybody.post("/api/v1/login/link", json={"token": token})
    second = await anybody.post("/api/v1/login/link", json={"token": token})

    me = await anybody.get(WHOAMI, headers=bearing(first.json()["access_token"]))
    assert me.json()["id"] == ada.id
    assert second.status_code == 401


@pytest.mark.parametrize("token", [None, "", [], 7, "x", {}])
async def test_a_link_is_not_opened_by_just_anything(
    anybody: httpx.AsyncClient, token: Any
) -> None:
    answer = await anybody.post("/api/v1/login/link", json={"token": token})

    assert answer.status_code in {401, 422}


async def test_a_refresh_token_is_good_once_and_its_reuse_ends_the_session(
    join: Join, anybody: httpx.AsyncClient
) -> None:
    eve = await join("eve")
    first = (await sign_in(anybody, eve.username)).json()
    anybody.cookies.clear()

    def with_cookie(token: str) -> dict[str, str]:
        return {"Cookie": f"refresh_token_lf={token}"}

    async def refreshed(token: str) -> httpx.Response:
        answer = await anybody.post("/api/v1/refresh", headers=with_cookie(token))
        anybody.cookies.clear()
        return answer

    second = await refreshed(first["refresh_token"])
    unheard = await refreshed(first["refresh_token"])  # a page left too early
    third = await refreshed(second.json()["refresh_token"])
    again = await refreshed(first["refresh_token"])

    assert second.status_code == unheard.status_code == third.status_code == 200
    assert again.status_code == 401
    assert again.json() == {"detail": "Invalid refresh token"}
    access = third.json()["access_token"]
    assert (await anybody.get(WHOAMI, headers=bearing(access))).status_code == 401


async def test_another_sites_page_cannot_renew_a_session(
    ada: Person, anybody: httpx.AsyncClient
) -> None:
    tokens = (await sign_in(anybody, ada.username)).json()
    anybody.cookies.clear()

    answer = await anybody.post(
        "/api/v1/refresh",
        headers={
            "Cookie": f"refresh_token_lf={tokens['refresh_token']}",
            "Origin": "https://evil.example",
        },
    )

    assert answer.status_code == 403


async def test_signing_out_ends_the_session_on_the_server(
    join: Join, anybody: httpx.AsyncClient
) -> None:
    eve = await join("eve")

    answer = await eve.post("/api/v1/logout")

    assert answer.json() == {"message": "Logout successful"}
    assert (await eve.get(WHOAMI)).status_code == 401
    assert any("access_token_lf" in c for c in answer.headers.get_list("set-cookie"))


async def test_another_password_signs_one_out_everywhere(
    join: Join, address: str
) -> None:
    eve = await join("eve")
    elsewhere = await signed_in(address, eve.username)

    same = await eve.patch(
        f"/api/v1/users/{eve.id}/reset-password", json={"password": PASSWORD}
    )
    changed = await eve.patch(
        f"/api/v1/users/{eve.id}/reset-password", json={"password": "another one"}
    )

    assert same.status_code == 400
    assert same.json() == {"detail": "You can't use your current password"}
    assert changed.status_code == 200
    assert (await elsewhere.get(WHOAMI)).status_code == 401
    await elsewhere.aclose()
    back = await signed_in(address, eve.username, "another one")
    assert back.id == eve.id
    await back.aclose()


async def test_a_deactivated_user_is_out_at_once(root: Person, join: Join) -> None:
    eve = await join("eve")
    key = (await eve.post("/api/v1/api_key/", json={"name": "k"})).json()["api_key"]

    await root.patch(f"/api/v1/users/{eve.id}", json={"is_active": False})

    out = await eve.get(WHOAMI)
    assert out.status_code == 401
    assert out.json() == {"detail": "User not found or is inactive."}
    eve.headers.pop("Authorization")
    assert (await eve.get(WHOAMI, headers={"x-api-key": key})).status_code == 401


async def test_ten_failures_close_the_door_for_a_while(
    join: Join, anybody: httpx.AsyncClient, application: Application
) -> None:
    eve = await join("eve")
    for n in range(10):
        refused = await sign_in(anybody, eve.username, f"wrong {n}")
        assert refused.status_code == 401

    closed = await sign_in(anybody, eve.username)

    assert closed.status_code == 429
    assert 0 < int(closed.headers["retry-after"]) <= 301
    user = await application.world.users.get(UUID(eve.id))
    assert user.locked_until is not None


@pytest.mark.parametrize(
    "forged",
    [
        "x",
        "a.b.c",
        jwt.encode({"sub": "1", "type": "access"}, "", algorithm="none"),
        jwt.encode({"sub": "1", "type": "access"}, "k" * 32, algorithm="HS256"),
    ],
)
async def test_a_token_made_elsewhere_lets_nobody_in(
    anybody: httpx.AsyncClient, forged: str
) -> None:
    answer = await anybody.get(WHOAMI, headers={"Authorization": f"Bearer {forged}"})

    assert answer.status_code in {401, 403}


async def test_a_refresh_token_is_no_access_token(
    ada: Person, anybody: httpx.AsyncClient
) -> None:
    tokens = (await sign_in(anybody, ada.username)).json()

    answer = await anybody.get(WHOAMI, headers=bearing(tokens["refresh_token"]))

    assert answer.status_code == 401
    assert answer.json() == {"detail": "Could not validate credentials"}


async def test_the_cookie_lets_in_on_two_routes_only_and_from_our_page_only(
    ada: Person, anybody: httpx.AsyncClient, address: str
) -> None:
    starters = (await ada.get("/api/v1/flows/?header_flows=true")).json()
    echo = next(f for f in starters if f["name"] == "Words in a Template")["id"]
    job = (await ada.post(f"/api/v1/build/{echo}/flow", json={})).json()["job_id"]
    cookie = {"Cookie": f"access_token_lf={ada.token}"}
    events = f"/api/v1/build/{job}/events"

    assert (await anybody.get(WHOAMI, headers=cookie)).status_code == 403
    assert (await anybody.get(events, headers=cookie)).status_code == 200
    for origin, status in (
        (address, 200),
        ("https://evil.example", 403),
        ("null", 403),
    ):
        answer = await anybody.post(
            f"/api/v1/build/{job}/cancel", headers={**cookie, "Origin": origin}
        )
        assert answer.status_code == status, origin
    unsaid = await anybody.post(f"/api/v1/build/{job}/cancel", headers=cookie)
    assert unsaid.status_code == 403


async def test_an_api_key_lets_in_by_header_and_by_query_until_it_is_revoked(
    join: Join, anybody: httpx.AsyncClient
) -> None:
    eve = await join("eve")
    issued = (await eve.post("/api/v1/api_key/", json={"name": "mine"})).json()
    key = issued["api_key"]
    assert key.startswith("sk-")
    assert len(key) == 46

    by_header = await anybody.get(WHOAMI, headers={"x-api-key": key})
    by_query = await anybody.get(WHOAMI, params={"x-api-key": key})
    assert by_header.json()["id"] == by_query.json()["id"] == eve.id
    [listed] = (await eve.get("/api/v1/api_key/")).json()["api_keys"]
    assert listed["total_uses"] == 2
    assert listed["api_key"] == key[:8] + "*" * 38

    gone = await eve.delete(f"/api/v1/api_key/{issued['id']}")
    assert gone.json() == {"detail": "API Key deleted"}
    refused = await anybody.get(WHOAMI, headers={"x-api-key": key})
    assert refused.status_code == 403
    assert refused.json() == {"detail": "Invalid or missing API key"}
