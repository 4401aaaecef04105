"""The components that flows are drawn of."""

from infrastructure.components.registry import BuiltinComponents
from infrastructure.settings import Settings


def builtin_components(settings: Settings) -> BuiltinComponents:
    return BuiltinComponents(
        base_urls=_base_urls(settings), allowed_hosts=settings.allowed_hosts
    )


def _base_urls(settings: Settings) -> dict[str, str]:
    urls = {
        "OpenAI": settings.openai_base_url,
        "Anthropic": settings.anthropic_base_url,
        "Google": settings.google_base_url,
        "Ollama": settings.ollama_base_url,
    }
    return {provider: url for provider, url in urls.items() if url}
