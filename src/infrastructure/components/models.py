"""Chat models by provider, imported when first asked for: they weigh seconds."""

from importlib import import_module
from typing import TYPE_CHECKING

import msgspec

from application.ports.components import ComponentFailedError, MissingSettingError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

PATIENCE = 120.0  # seconds between two bytes of an answer
RETRIES = 2  # after the first try, where a provider is busy or cannot be reached

_PROVIDERS = "infrastructure.components.providers"


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """
    Which model somebody wants.

    ``base_url`` is the operator's word and trusted; ``flow_url`` came with a flow,
    and may lead to a private address only if ``allowed_hosts`` names it.
    """

    model: str
    api_key: str = ""
    base_url: str | None = None
    flow_url: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    temperature: float | None = None


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """
    Who runs models, and what reaching them takes.

    ``module`` makes its models; ``extra`` is what pip has to install when the library
    for it is not there.
    """

    name: str
    icon: str
    models: tuple[str, ...]
    module: str
    extra: str | None = None
    needs_key: bool = True
    asks_url: bool = False


def chat_model(provider: str, wish: Wish) -> "BaseChatModel":
    """
    Return the model *wish* names; its library is imported now, which takes seconds.

    Raise `MissingSettingError` without a model name or a key the provider needs.
    """
    known = provider_of(provider)
    if not wish.model:
        raise MissingSettingError("Choose a model: “Model Name” is empty")
    if known.needs_key and not wish.api_key:
        raise MissingSettingError(
            f"{known.name} API key is required to use {known.name} models: fill in "
            f"“{known.name} API Key”, or choose a variable that holds the key"
        )
    try:
        provider_module = import_module(f"{_PROVIDERS}.{known.module}")
    except ImportError:
        if known.extra is None:
            raise
        raise ComponentFailedError(
            f"This server cannot speak to {known.name} yet; its operator installs that "
            f'with: pip install "langbuilder-eventsourced[{known.extra}]"'
        ) from None
    model: BaseChatModel = provider_module.make(wish)
    return model


def provider_of(name: str) -> Provider:
    """Return the provider called *name*."""
    if name not in PROVIDERS:
        raise ComponentFailedError(
            f"There is no model provider “{name}”; choose one of {', '.join(PROVIDERS)}"
        )
    return PROVIDERS[name]


PROVIDERS = {
    provider.name: provider
    for provider in (
        Provider(
            name="OpenAI",
            icon="OpenAI",
            models=(
                *("gpt-4o-mini", "gpt-4o", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano"),
                *("gpt-4-turbo", "gpt-4-turbo-preview", "gpt-4", "gpt-3.5-turbo"),
                *("o1", "o3-mini", "o3", "o3-pro", "o4-mini", "o4-mini-high"),
            ),
            module="openai",
        ),
        Provider(
            name="Anthropic",
            icon="Anthropic",
            models=(
                *("claude-sonnet-4-5", "claude-haiku-4-5", "claude-opus-4-1"),
                *("claude-sonnet-4-0", "claude-opus-4-0", "claude-opus-4-20250514"),
                "claude-3-5-haiku-latest",
            ),
            module="anthropic",
            extra="anthropic",
        ),
        Provider(
            name="Google",
            icon="GoogleGenerativeAI",
            models=(
                *("gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite"),
                *("gemini-2.0-flash", "gemini-2.0-flash-lite"),
            ),
            module="google",
            extra="google",
        ),
        Provider(
            name="Ollama",
            icon="Ollama",
            models=("llama3.2", "qwen3", "gemma3", "mistral", "phi4"),
            module="ollama",
            extra="ollama",
            needs_key=False,
            asks_url=True,
        ),
        Provider(
            name="Demo",
            icon="Bot",
            models=("scripted-demo",),
            module="demo",
            needs_key=False,
        ),
    )
}
