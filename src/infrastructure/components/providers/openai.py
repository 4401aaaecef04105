"""OpenAI's models, and every server that speaks OpenAI's protocol."""

import re
from functools import partial

from langchain_openai import ChatOpenAI

from infrastructure.components.models import PATIENCE, RETRIES, Wish

_REASONING = re.compile(r"(o\d|gpt-5)")  # these refuse a temperature


def make(wish: Wish) -> ChatOpenAI:
    reasons = _REASONING.match(wish.model) is not None
    return ChatOpenAI(
        model=wish.model,
        api_key=partial(str, wish.api_key),
        base_url=wish.base_url,
        temperature=None if reasons else wish.temperature,
        timeout=PATIENCE,
        max_retries=RETRIES,
        stream_usage=True,
    )
