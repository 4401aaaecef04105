"""An OpenWebUI of a test's own: it keeps functions, and runs the pipes among them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Request, delete, get, post
from litestar.exceptions import HTTPException
from litestar.params import FromPath

from tests.standins import standing_in

ADMIN = "owui-admin-canary-8812"

Asked = Request[Any, Any, Any]


class FakeOpenWebUi:
    """What administrators have put into it; ``fails`` names paths that answer 500."""

    def __init__(self) -> None:
        self.functions: dict[str, dict[str, Any]] = {}
        self.valves: dict[str, dict[str, Any]] = {}
        self.fails: set[str] = set()
        self.asked: list[str] = []
        self.url = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["FakeOpenWebUi"]:
        async with standing_in(self._routes()) as self.url:
            yield self

    def pipe(self, function: str) -> Any:
        """Return the pipe of a function, as OpenWebUI would load it."""
        names: dict[str, Any] = {}
        exec(compile(self.functions[function]["content"], function, "exec"), names)
        pipe = names["Pipe"]()
        for valve, value in self.valves.get(function, {}).items():
            setattr(pipe.valves, valve, value)
        return pipe

    def _enter(self, request: Asked) -> None:
        self.asked.append(f"{request.method} {request.url.path}")
        if request.headers.get("authorization") != f"Bearer {ADMIN}":
            raise HTTPException("401 Unauthorized", status_code=401)
        if any(request.url.path.endswith(path) for path in self.fails):
            raise HTTPException("broken", status_code=500)

    def _routes(self) -> list[Any]:
        @get("/api/v1/functions/")
        async def listed(request: Asked) -> Any:
            self._enter(request)
            return list(self.functions.values())

        @post("/api/v1/functions/create", status_code=200)
        async def create(request: Asked) -> Any:
            self._enter(request)
            made = await request.json() | {"is_active": False, "type": "pipe"}
            if made["id"] in self.functions or not made["id"].isidentifier():
                raise HTTPException("this id is taken", status_code=400)
            self.functions[made["id"]] = made
            return made

        @post("/api/v1/functions/id/{name:str}/{what:path}", status_code=200)
        async def change(
            request: Asked, name: FromPath[str], what: FromPath[str]
        ) -> Any:
            self._enter(request)
            if name not in self.functions:
                raise HTTPException("not found", status_code=401)
            match str(what).strip("/"):
                case "update":
                    self.functions[name] |= await request.json()
                case "toggle":
                    function = self.functions[name]
                    function["is_active"] = not function["is_active"]
                case "valves/update":
                    self.valves[name] = await request.json()
                case other:
                    raise HTTPException(other, status_code=404)
            return self.functions[name]

        @delete("/api/v1/functions/id/{name:str}/delete", status_code=200)
        async def remove(request: Asked, name: FromPath[str]) -> bool:
            self._enter(request)
            return self.functions.pop(name, None) is not None

        return [listed, create, change, remove]
