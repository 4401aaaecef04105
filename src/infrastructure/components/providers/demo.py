"""A model that needs no key: scripted, always the same, and honest about it."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, override

from langchain_core.callbacks import (
    AsyncCallbackManagerForLLMRun,
    CallbackManagerForLLMRun,
)
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
)
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from infrastructure.components.models import Wish

_QUOTED = re.compile(r"[\"“«](.+?)[\"”»]")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_WORDS = re.compile(r"\S+\s*")
_OTHERS: dict[str, Any] = {"boolean": True, "array": [], "object": {}}


class DemoModel(BaseChatModel):
    """
    Repeats what it was told, in words that show how the flow is wired.

    It calls a tool when the last message names one, taking quoted words and numbers
    as arguments in order, and then reports the result. ``pause`` is what it waits
    between two words when it streams, so that a person sees the streaming.
    """

    pause: float = 0.02

    @property
    @override
    def _llm_type(self) -> str:
        return "scripted-demo"

    @override
    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        described = [convert_to_openai_tool(tool)["function"] for tool in tools]
        return self.bind(tools=described, **kwargs)

    @override
    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        message = answer(messages, kwargs.get("tools") or ())
        return ChatResult(generations=[ChatGeneration(message=message)])

    @override
    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        message = answer(messages, kwargs.get("tools") or ())
        for word in _WORDS.findall(message.text):
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))
            await asyncio.sleep(self.pause)
        calls = [
            tool_call_chunk(
                name=call["name"], args=json.dumps(call["args"]), id=call["id"], index=n
            )
            for n, call in enumerate(message.tool_calls)
        ]
        yield ChatGenerationChunk(
            message=AIMessageChunk(
                content="",
                tool_call_chunks=calls,
                usage_metadata=message.usage_metadata,
                response_metadata=message.response_metadata,
            )
        )


def answer(
    messages: Sequence[BaseMessage], tools: Sequence[dict[str, Any]]
) -> AIMessage:
    """Return what the demo says to *messages*: always the same to the same."""
    said = _last_human(messages)
    calls = [] if isinstance(messages[-1], ToolMessage) else _calls(said, tools)
    text = "" if calls else "\n\n".join(_paragraphs(messages, said))
    heard = sum(len(message.text.split()) for message in messages)
    spoken = len(text.split())
    return AIMessage(
        content=text,
        tool_calls=calls,
        usage_metadata=UsageMetadata(
            input_tokens=heard, output_tokens=spoken, total_tokens=heard + spoken
        ),
        response_metadata={"finish_reason": "tool_calls" if calls else "stop"},
    )


def _last_human(messages: Sequence[BaseMessage]) -> str:
    human = [message for message in messages if isinstance(message, HumanMessage)]
    return human[-1].text if human else ""


def _paragraphs(messages: Sequence[BaseMessage], said: str) -> Iterator[str]:
    last = messages[-1]
    if isinstance(last, ToolMessage):
        yield f"The tool “{last.name or 'tool'}” answered: {last.text}"
    else:
        yield f"You said: “{said.strip()}”"
    system = [message for message in messages if isinstance(message, SystemMessage)]
    if system and system[-1].text.strip():
        yield f"I was told beforehand:\n\n{_quote(system[-1].text)}"
    yield (
        "(I am a scripted demo, not a language model: I only show what reached me. "
        "Choose another provider in the Language Model component for real answers.)"
    )


def _quote(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.strip().splitlines())


def _calls(said: str, tools: Sequence[dict[str, Any]]) -> list[ToolCall]:
    lowered = said.lower()
    for number, tool in enumerate(tools):
        name = str(tool["name"])
        if name.lower() in lowered or name.lower().replace("_", " ") in lowered:
            call = ToolCall(
                name=name, args=_arguments(said, tool), id=f"demo-call-{number}"
            )
            return [call]
    return []


def _arguments(said: str, tool: dict[str, Any]) -> dict[str, Any]:
    """Fill the tool's parameters with the words and numbers in *said*, in order."""
    parameters = tool.get("parameters") or {}
    words, numbers = _QUOTED.findall(said), _NUMBER.findall(said)
    required = set(parameters.get("required") or ())
    filled: dict[str, Any] = {}
    for name, schema in (parameters.get("properties") or {}).items():
        kind = schema.get("type")
        if schema.get("enum"):
            filled[name] = schema["enum"][0]
        elif kind in ("integer", "number"):
            number = float(numbers.pop(0)) if numbers else 0.0
            filled[name] = int(number) if kind == "integer" else number
        elif kind in _OTHERS:
            filled[name] = _OTHERS[kind]
        elif words or name in required:
            filled[name] = words.pop(0) if words else said
    return filled


def make(wish: Wish) -> DemoModel:
    return DemoModel(name=wish.model)
