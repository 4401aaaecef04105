"""Models that a local or remote Ollama runs."""

from typing import Any

from langchain_ollama import ChatOllama

from infrastructure.components.guard import GuardedTransport
from infrastructure.components.models import PATIENCE, Wish


def make(wish: Wish) -> ChatOllama:
    guard: dict[str, Any] = {}
    if wish.flow_url and wish.flow_url != wish.base_url:
        guard = {"transport": GuardedTransport(wish.allowed_hosts)}
    return ChatOllama(
        model=wish.model,
        base_url=wish.flow_url or wish.base_url,
        temperature=wish.temperature,
        client_kwargs={"timeout": PATIENCE, **guard},
    )
