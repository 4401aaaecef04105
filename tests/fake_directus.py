"""A Directus of a test's own: a component store with people, tags, likes and hooks."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from litestar import Request, get, patch, post
from litestar.exceptions import HTTPException
from litestar.params import FromPath

from tests.standins import standing_in

Asked = Request[Any, Any, Any]
Item = dict[str, Any]


class FakeDirectus:
    """What is in the store; ``people`` are keys with the names of their owners."""

    def __init__(self) -> None:
        self.url = ""
        self.tags = {str(uuid4()): name for name in ("chat", "memory")}
        self.clear()

    def clear(self) -> None:
        """Empty the store, and forget who there is."""
        self.people: dict[str, str] = {}
        self.items: dict[str, Item] = {}
        self.likes: set[tuple[str, str]] = set()
        self.downloads: list[str] = []
        self.fails = False

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["FakeDirectus"]:
        async with standing_in(self._routes(), host="127.0.0.1") as self.url:
            yield self

    def add(self, name: str, **more: Any) -> str:
        item: Item = {
            "id": str(uuid4()),
            "name": name,
            "description": f"About {name}",
            "data": {"nodes": [], "edges": []},
            "is_component": False,
            "private": False,
            "owner": "ada",
            "tags": [],
            "metadata": {"total": 1},
            "last_tested_version": "1.5.0",
        }
        self.items[item["id"]] = item | more
        return str(item["id"])

    def _who(self, request: Asked) -> str | None:
        if self.fails:
            raise HTTPException("broken", status_code=500)
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if not scheme:
            return None
        if key not in self.people:
            raise HTTPException("Invalid token", status_code=401)
        return self.people[key]

    def _seen(self, who: str | None) -> list[Item]:
        mine = self.items.values()
        return [one for one in mine if not one["private"] or one["owner"] == who]

    def _shown(self, item: Item, fields: list[str]) -> Item:
        shown: Item = {}
        for field in fields:
            match field:
                case "count(liked_by)":
                    likers = [one for one, _ in self.likes if one == item["id"]]
                    shown["liked_by_count"] = len(likers)
                case "count(downloads)":
                    shown["downloads_count"] = self.downloads.count(item["id"])
                case "user_created.username":
                    shown["user_created"] = {"username": item["owner"]}
                case "tags.tags_id.id" | "tags.tags_id.name":
                    tags = [{"id": t, "name": self.tags[t]} for t in item["tags"]]
                    shown["tags"] = [{"tags_id": tag} for tag in tags]
                case _:
                    shown[field] = item[field]
        return shown

    def _is(self, item: Item, who: str | None, wanted: Item) -> bool:
        """Tell whether *item* meets a filter of those that a store asks by."""
        [(field, how)] = wanted.items()
        if field in {"_and", "_or"}:
            found = [self._is(item, who, one) for one in how]
            return all(found) if field == "_and" else any(found)
        if field == "tags":
            names = [self.tags[tag] for tag in item["tags"]]
            return bool(set(names) & set(how["tags_id"]["name"]["_in"]))
        if field == "liked_by":
            assert how == {"directus_users_id": {"_eq": "$CURRENT_USER"}}
            return (item["id"], who) in self.likes
        if field == "user_created":
            return bool(item["owner"] == who)
        [(operator, value)] = how.items()
        if operator == "_icontains":
            return value.lower() in str(item[field]).lower()
        return item[field] in value if operator == "_in" else item[field] == value

    def _list(self, request: Asked) -> Item:
        who, query = self._who(request), request.query_params
        wanted = json.loads(query.get("filter", '{"_and": []}'))
        found = [one for one in self._seen(who) if self._is(one, who, wanted)]
        for sort in reversed(query.get("sort", "").split(",")):
            key = sort.removeprefix("-")
            if key == "name":
                found.sort(key=lambda one: one["name"], reverse=sort[0] == "-")
        page, limit = int(query.get("page", 1)), int(query.get("limit", 100))
        shown = found[(page - 1) * limit : page * limit]
        fields = query["fields"].split(",")
        return {
            "data": [self._shown(one, fields) for one in shown],
            "meta": {"filter_count": len(found)},
        }

    def _one(self, request: Asked, component: str) -> Item:
        who = self._who(request)
        found = [one for one in self._seen(who) if one["id"] == component]
        if not found:
            raise HTTPException("Forbidden", status_code=403)
        return found[0]

    async def _write(self, request: Asked, item: Item) -> Item:
        who = self._who(request)
        if who is None or item.get("owner", who) != who:
            raise HTTPException("Forbidden", status_code=403)
        sent = await request.json()
        tags = [one["tags_id"] for one in sent.pop("tags")]
        made: Item = {"id": str(uuid4()), "metadata": {}} | item | sent
        self.items[made["id"]] = made | {"tags": tags, "owner": who}
        return {"data": {"id": made["id"]}}

    def _routes(self) -> list[Any]:
        @get("/users/me")
        async def me(request: Asked) -> Item:
            return {"data": {"id": self._who(request)}}

        @get("/items/tags")
        async def tags(request: Asked) -> Item:
            self._who(request)
            return {"data": [{"id": t, "name": n} for t, n in self.tags.items()]}

        @get("/items/components")
        async def listed(request: Asked) -> Item:
            return self._list(request)

        @get("/items/components/{component:str}")
        async def one(request: Asked, component: FromPath[str]) -> Item:
            fields = request.query_params["fields"].split(",")
            return {"data": self._shown(self._one(request, component), fields)}

        @post("/items/components", status_code=200)
        async def add(request: Asked) -> Item:
            return await self._write(request, {})

        @patch("/items/components/{component:str}")
        async def change(request: Asked, component: FromPath[str]) -> Item:
            return await self._write(request, self._one(request, component))

        @post("/flows/trigger/likes", status_code=200)
        async def like(request: Asked) -> Item:
            like = (await request.json())["component_id"], str(self._who(request))
            self.likes ^= {like}
            return {}

        @post("/flows/trigger/downloads", status_code=200)
        async def download(request: Asked) -> Item:
            self.downloads.append((await request.json())["component_id"])
            return {}

        return [me, tags, listed, one, add, change, like, download]
