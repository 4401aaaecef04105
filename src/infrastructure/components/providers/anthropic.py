"""Anthropic's models."""

from langchain_anthropic import ChatAnthropic
from pydantic import SecretStr

from infrastructure.components.models import PATIENCE, RETRIES, Wish


def make(wish: Wish) -> ChatAnthropic:
    return ChatAnthropic(
        model_name=wish.model,
        api_key=SecretStr(wish.api_key),
        base_url=wish.base_url,
        temperature=wish.temperature,
        timeout=PATIENCE,
        max_retries=RETRIES,
        stop=None,
    )
