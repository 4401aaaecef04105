"""Every door of the API, read from the document that describes it."""

import re
from typing import Any, NamedTuple

import httpx

PUBLIC = {
    ("get", "/health"),
    ("get", "/health_check"),
    ("get", "/livez"),
    ("get", "/readyz"),
    ("post", "/api/v1/login"),
    ("post", "/api/v1/login/link"),
    ("get", "/api/v1/auto_login"),
    ("post", "/api/v1/refresh"),
    ("post", "/api/v1/logout"),
    ("get", "/api/v1/version"),
    ("get", "/api/v1/config"),
    ("get", "/api/v1/store/check"),
    ("get", "/api/v1/store/check/api_key"),
    ("get", "/api/v1/store/tags"),
    ("get", "/api/v1/store/components"),
    ("get", "/api/v1/flows/basic_examples"),
    ("get", "/api/v1/flows/public_flow/{}"),
    ("post", "/api/v1/users"),
}
"""What anybody may ask; whatever else there is needs a credential."""

BELONGINGS = {
    "flow_id": "flow",
    "flow_id_or_name": "flow",
    "project_id": "project",
    "folder_id": "project",
    "variable_id": "variable",
    "key_id": "key",
    "user_id": "user",
    "job_id": "run",
    "run_id": "run",
    "message_id": "message",
    "session": "session",
    "stream_id": "flow",
}
"""What each parameter that names something stands for."""

PLAIN = {
    *("after", "components_only", "event_delivery", "get_all", "header_flows"),
    *("is_component", "is_flow", "limit", "new_session_id", "offset", "order_by"),
    *("page", "search", "sender", "sender_name", "size", "skip", "stream"),
    *("start_component_id", "stop_component_id", "session_id"),
    # Superusers alone may ask these, about anybody.
    *("actor", "at", "command", "correlation", "log", "since", "tag"),
    *("until", "version", "projection", "position"),
}
"""Parameters that name nobody's belongings, or only within what is one's own."""


class Door(NamedTuple):
    """One method of one path, and what its parameters are called."""

    method: str
    path: str
    names: tuple[str, ...]
    asked: tuple[str, ...]

    @property
    def public(self) -> bool:
        return (self.method, self.path) in PUBLIC

    def to(self, *ids: str) -> str:
        """Return the path that leads to *ids*."""
        return self.path.format(*ids)


def doors(described: dict[str, Any]) -> list[Door]:
    """Return every door that an OpenAPI document tells of."""
    found = []
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            parameters = operation.get("parameters", [])
            found.append(
                Door(
                    method,
                    re.sub(r"\{[^}]*\}", "{}", path).rstrip("/") or "/",
                    tuple(p["name"] for p in parameters if p["in"] == "path"),
                    tuple(p["name"] for p in parameters if p["in"] == "query"),
                )
            )
    return sorted(found)


def sound(answer: httpx.Response) -> None:
    """Check that a refusal has the one shape, and tells nothing of the inside."""
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text[:200])
    said = answer.json()
    assert set(said) == {"detail"}, said
    assert said["detail"]
    tells_nothing(answer.text)


INSIDE = (
    *("Traceback", 'File \\"', ".py", "site-packages", "/src/", "/usr/", "/tmp/"),
    *("psycopg", "sqlalchemy", "SELECT ", "INSERT ", " es.", "rm_", "postgres"),
    *("msgspec", "litestar", "Errno"),
)


def tells_nothing(text: str) -> None:
    """Check that *text* shows no traceback, path, library or SQL."""
    shown = [word for word in INSIDE if word in text]
    assert not shown, (shown, text[:300])
