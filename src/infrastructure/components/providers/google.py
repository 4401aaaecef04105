"""Google's Gemini models."""

from langchain_google_genai import ChatGoogleGenerativeAI
from pydantic import SecretStr

from infrastructure.components.models import PATIENCE, RETRIES, Wish


def make(wish: Wish) -> ChatGoogleGenerativeAI:
    return ChatGoogleGenerativeAI(
        model=wish.model,
        api_key=SecretStr(wish.api_key),
        base_url=wish.base_url,
        temperature=wish.temperature,
        timeout=PATIENCE,
        max_retries=RETRIES + 1,  # this library counts the first try too
    )
