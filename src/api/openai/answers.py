"""The shapes of what clients of OpenAI's protocol are answered."""

from typing import Any, Literal

import msgspec
from litestar.openapi.datastructures import ResponseSpec


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens that the models of a flow counted."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What the flow said; there is one choice."""

    index: int
    message: dict[str, Any]
    finish_reason: Literal["stop"]
    logprobs: None = None


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """A completed chat; with ``stream`` it comes as chunks in server-sent events."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: Tokens


class ModelAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A flow as a model; ``metadata`` tells of the flow."""

    id: str
    name: str
    object: Literal["model"]
    created: int
    owned_by: str
    root: str
    metadata: dict[str, Any]
    parent: None = None
    permission: list[Any] = []


class ModelList(msgspec.Struct, frozen=True, kw_only=True):
    """One's flows as models."""

    object: Literal["list"]
    data: list[ModelAnswer]


class ResponseAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    A response; with ``stream`` it comes as typed server-sent events.

    Under ``/api/v1`` a refusal is an ``error`` object alone, with 200.
    """

    error: dict[str, Any] | None = None
    id: str = ""
    object: str = "response"
    created_at: int = 0
    status: str = ""
    model: str = ""
    output: list[dict[str, Any]] = []
    metadata: dict[str, str] = {}
    background: bool = False
    previous_response_id: str | None = None
    usage: dict[str, Any] | None = None


class DeletedResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A response that is no more."""

    id: str
    object: Literal["response"]
    deleted: bool


class InputItems(msgspec.Struct, frozen=True, kw_only=True):
    """A page of what a response was asked; ``after`` the ``last_id`` is the next."""

    object: Literal["list"]
    data: list[dict[str, Any]]
    first_id: str | None
    last_id: str | None
    has_more: bool


COMPLETED = {200: ResponseSpec(Completion, description="What the flow said")}
LISTED = {200: ResponseSpec(ModelList, description="One's flows")}
NAMED = {200: ResponseSpec(ModelAnswer, description="The flow")}
DELETED = {200: ResponseSpec(DeletedResponse, description="It was deleted")}
ITEMS = {200: ResponseSpec(InputItems, description="What it was asked")}
RESPONDED = {200: ResponseSpec(ResponseAnswer, description="The response")}
