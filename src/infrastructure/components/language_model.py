"""A language model in a flow: text in, text out, or the model itself to others."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from time import monotonic
from typing import TYPE_CHECKING, Any, override

from application.ports.components import (
    ComponentFailedError,
    Invocation,
    MissingSettingError,
)
from domain.kernel import Json
from domain.run.values import Live, Message, Value
from infrastructure.components import fields
from infrastructure.components.attachments import Shown, files_with, shown
from infrastructure.components.builtin import Builtin, Node
from infrastructure.components.failures import BrokenAnswerError, explained
from infrastructure.components.models import PROVIDERS, Wish, chat_model, provider_of

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, BaseMessage

_FIRST = PROVIDERS["OpenAI"]
_ENDS = ("finish_reason", "stop_reason", "done_reason")


class LanguageModel(Builtin):
    """Any of the providers' chat models."""

    type = "LanguageModelComponent"
    aliases: Sequence[str] = ("LanguageModel",)
    category = "models"
    pure = False

    def __init__(
        self,
        *,
        base_urls: Mapping[str, str] | None = None,
        allowed_hosts: Sequence[str] = (),
    ) -> None:
        self._base_urls = dict(base_urls or {})
        self._allowed_hosts = tuple(allowed_hosts)

    @override
    def describe(self) -> Node:
        return fields.component(
            "LanguageModelComponent",
            "Language Model",
            module="models.language_model.LanguageModelComponent",
            icon="brain-circuit",
            description="Asks a language model of the chosen provider.",
            priority=0,
            keywords=["model", "llm", "language model", "large language model"],
            fields=[*_which(), *_how()],
            outputs=[
                fields.output(
                    "text_output", "Model Response", "Message", "text_response"
                ),
                fields.output(
                    "model_output", "Language Model", "LanguageModel", "build_model"
                ),
            ],
        )

    @override
    def adapt(self, node: Node, field: str) -> None:
        template = node["template"]
        provider = PROVIDERS.get(str(template["provider"]["value"]))
        if provider is None:
            return
        template["provider"]["options"] = list(PROVIDERS)
        template["provider"]["options_metadata"] = _icons()
        model = template["model_name"]
        model["options"] = list(provider.models)
        if field == "provider":
            model["value"] = provider.models[0]
        template["api_key"]["display_name"] = f"{provider.name} API Key"
        template["api_key"]["show"] = provider.needs_key
        template["base_url"]["show"] = provider.asks_url

    @override
    async def compute(self, output: str, call: Invocation) -> Value:
        wish = self._wish(call)
        provider = self.text(call, "provider")
        messages = None if output == "model_output" else self._said(call)
        # In a thread: the first import of a provider's library takes seconds.
        model = await asyncio.to_thread(chat_model, provider, wish)
        if messages is None:
            return Live(value=model, type_name="LanguageModel")
        try:
            return await self._answer(call, model, messages, provider, wish.model)
        except Exception as error:  # noqa: BLE001 - four libraries, four families of errors, and each must become a sentence without a key
            raise explained(
                error, provider=provider, model=wish.model, secret=wish.api_key
            ) from None

    def _wish(self, call: Invocation) -> Wish:
        provider = provider_of(self.text(call, "provider"))
        base_url = self._base_urls.get(provider.name) or None
        flow_url = self.text(call, "base_url").strip() if provider.asks_url else ""
        return Wish(
            model=self.text(call, "model_name").strip(),
            api_key=self.text(call, "api_key").strip() if provider.needs_key else "",
            base_url=base_url,
            flow_url=flow_url or None,
            allowed_hosts=self._allowed_hosts,
            temperature=_number(self.given(call, "temperature")),
        )

    def _said(self, call: Invocation) -> tuple[str, str]:
        """The instructions and the message; at least one is there."""
        system = self.text(call, "system_message")
        text = self.text(call, "input_value")
        files = files_with(self.given(call, "input_value"))
        if not text.strip() and not system.strip() and not files:
            raise MissingSettingError(
                "There is nothing to ask the model: connect or fill in “Input”"
            )
        # Some providers refuse instructions alone, so they become the message.
        return (system, text) if text.strip() or files else ("", system)

    async def _answer(
        self,
        call: Invocation,
        model: "BaseChatModel",
        said: tuple[str, str],
        provider: str,
        name: str,
    ) -> Message:
        system, text = said
        files = files_with(self.given(call, "input_value"))
        messages = _messages(system, await shown(call, text, files))
        started = monotonic()
        if call.speaking:
            text, usage = await _spoken(call, model, messages)
        else:
            reply = await model.ainvoke(messages)
            text, usage = str(reply.text), _usage(reply)
        await call.model_called(
            provider=provider,
            model=name,
            input_tokens=usage[0],
            output_tokens=usage[1],
            duration_ms=round((monotonic() - started) * 1000),
        )
        return Message(text=text, session_id=call.facts.session)


def _messages(system: str, said: Shown) -> list["BaseMessage"]:
    # Imported late: it takes its time, and other components do without it.
    from langchain_core.messages import (  # noqa: PLC0415
        HumanMessage,
        SystemMessage,
    )

    first = [SystemMessage(system)] if system.strip() else []
    return [*first, HumanMessage(said)]


async def _spoken(
    call: Invocation, model: "BaseChatModel", messages: list["BaseMessage"]
) -> tuple[str, tuple[int | None, int | None]]:
    """Stream the answer into the chat; cancelling closes the line to the model."""
    pieces: list[str] = []
    usage: tuple[int | None, int | None] = (None, None)
    finished = False
    stream: Any = model.astream(messages)
    async with aclosing(stream):
        async for chunk in stream:
            piece = str(chunk.text)
            usage = _sum(usage, _usage(chunk))
            finished = finished or any(
                chunk.response_metadata.get(end) for end in _ENDS
            )
            if piece:
                pieces.append(piece)
                await call.token(piece)
    if not finished:
        raise BrokenAnswerError
    return "".join(pieces), usage


def _usage(reply: "AIMessage") -> tuple[int | None, int | None]:
    counted = reply.usage_metadata
    if counted is None:
        return None, None
    return counted["input_tokens"], counted["output_tokens"]


def _sum(
    one: tuple[int | None, int | None], other: tuple[int | None, int | None]
) -> tuple[int | None, int | None]:
    if other[0] is None or other[1] is None:
        return one
    return (one[0] or 0) + other[0], (one[1] or 0) + other[1]


def _number(value: Value) -> float | None:
    try:
        return None if value in (None, "") else float(str(value))
    except ValueError:
        raise ComponentFailedError(
            "“Temperature” is not a number; write one between 0 and 1"
        ) from None


def _icons() -> list[Json]:
    return [{"icon": provider.icon} for provider in PROVIDERS.values()]


def _which() -> list[fields.Field]:
    return [
        fields.dropdown(
            "provider",
            "Model Provider",
            list(PROVIDERS),
            _FIRST.name,
            options_metadata=_icons(),
            real_time_refresh=True,
            info="Who runs the model. Demo needs no key and only shows how it works.",
        ),
        fields.dropdown(
            "model_name",
            "Model Name",
            _FIRST.models,
            _FIRST.models[0],
            combobox=True,  # so a server of one's own can be asked for its models
            real_time_refresh=True,
            info="Which model; a name not in the list may be typed in.",
        ),
        fields.secret(
            "api_key",
            f"{_FIRST.name} API Key",
            real_time_refresh=True,
            info="The provider's key, or better a variable that holds it.",
        ),
    ]


def _how() -> list[fields.Field]:
    return [
        fields.message("input_value", "Input", info="What to ask the model."),
        fields.multiline(
            "system_message",
            "System Message",
            info="What the model shall know and how it shall answer.",
        ),
        fields.boolean(
            "stream",
            "Stream",
            value=False,
            advanced=True,
            info="Show the answer word by word.",
        ),
        fields.slider(
            "temperature",
            "Temperature",
            0.1,
            high=1.0,
            step=0.01,
            advanced=True,
            info="0 is sober, 1 is playful.",
        ),
        fields.line(
            "base_url",
            "Base URL",
            show=False,
            info="Where Ollama listens; empty means where the operator said.",
        ),
    ]
