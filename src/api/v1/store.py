"""The component store, which this server does not have."""

from typing import Any

from litestar import Controller, get

from api.security import PUBLIC


class StoreController(Controller):
    """Says that there is nothing in store."""

    path = "/store"
    tags = ("Store",)
    opt = PUBLIC

    @get("/check", sync_to_thread=False)
    def check(self) -> dict[str, bool]:
        """Say whether there is a store."""
        return {"enabled": False}

    @get("/check/api_key", sync_to_thread=False)
    def check_key(self) -> dict[str, bool]:
        """Say whether the user has a key of the store."""
        return {"has_api_key": False, "is_valid": False}

    @get("/tags", sync_to_thread=False)
    def tags_of_components(self) -> list[dict[str, str]]:
        """List the store's tags."""
        return []

    @get("/components", sync_to_thread=False)
    def components(self) -> dict[str, Any]:
        """List the store's components."""
        return {"count": 0, "authorized": False, "results": []}
