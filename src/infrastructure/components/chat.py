"""Where a chat enters a flow, and where it leaves it."""

from abc import abstractmethod
from typing import override

from application.ports.components import Invocation
from domain.run.values import Data, Message, Properties, Source, Value
from infrastructure.components import fields
from infrastructure.components.attachments import paths_of
from infrastructure.components.builtin import Builtin, Node, fill
from infrastructure.components.convert import text_of, words_of
from infrastructure.components.fields import Field

_FILE_KINDS = (
    *("txt", "md", "mdx", "csv", "json", "yaml", "yml", "xml", "html", "htm", "pdf"),
    *("docx", "py", "sh", "sql", "js", "ts", "tsx", "jpg", "jpeg", "png", "bmp"),
    "image",
)


class _Chat(Builtin):
    """What both ends share: a message that is kept, and how the chat draws it."""

    category = "input_output"

    @override
    async def compute(self, output: str, call: Invocation) -> Value:
        message = self.message(call)
        if message.session_id and self.given(call, "should_store_message"):
            return await call.emit(message)
        return message

    @abstractmethod
    def message(self, call: Invocation) -> Message:
        """Return what is said, not yet stored."""

    def _properties(self, call: Invocation) -> Properties:
        return Properties(
            text_color=self.text(call, "text_color"),
            background_color=self.text(call, "background_color"),
            icon=self.text(call, "chat_icon"),
        )

    def _said(self, call: Invocation, text: str) -> Message:
        return Message(
            text=text,
            sender=self.text(call, "sender") or self.default("sender"),
            sender_name=self.text(call, "sender_name") or self.default("sender_name"),
            session_id=self.text(call, "session_id") or call.facts.session,
            flow_id=str(call.facts.flow),
            properties=self._properties(call),
        )

    def _common(self, sender: str, sender_name: str) -> list[Field]:
        return [
            fields.boolean(
                "should_store_message",
                "Store Messages",
                value=True,
                advanced=True,
                info="Keep the message, so that later runs can remember it.",
            ),
            fields.dropdown(
                "sender",
                "Sender Type",
                ["Machine", "User"],
                sender,
                advanced=True,
                info="Who speaks.",
            ),
            fields.message_text(
                "sender_name",
                "Sender Name",
                sender_name,
                advanced=True,
                info="The name shown beside the message.",
            ),
            fields.message_text(
                "session_id",
                "Session ID",
                advanced=True,
                info="The conversation this belongs to; empty means the run's own.",
            ),
        ]

    def _colours(self) -> list[Field]:
        return [
            fields.message_text(
                "background_color",
                "Background Color",
                advanced=True,
                info="The colour behind the icon.",
            ),
            fields.message_text(
                "chat_icon", "Icon", advanced=True, info="The icon beside the message."
            ),
            fields.message_text(
                "text_color",
                "Text Color",
                advanced=True,
                info="The colour of the name.",
            ),
        ]


class ChatInput(_Chat):
    """What the user says."""

    type = "ChatInput"

    @override
    def describe(self) -> Node:
        return fields.component(
            "ChatInput",
            "Chat Input",
            module="input_output.chat.ChatInput",
            icon="MessagesSquare",
            description="Takes what the user writes in the chat.",
            minimized=True,
            fields=[
                fields.multiline(
                    "input_value",
                    "Input Text",
                    input_types=[],
                    info="What the user says.",
                ),
                *self._common("User", "User"),
                fields.files(
                    "files",
                    "Files",
                    _FILE_KINDS,
                    advanced=True,
                    info="Files that go with the message.",
                ),
                *self._colours(),
            ],
            outputs=[
                fields.output("message", "Chat Message", "Message", "message_response")
            ],
        )

    @override
    async def compute(self, output: str, call: Invocation) -> Value:
        for path in paths_of(self.given(call, "files")):
            await call.find_file(path)
        return await super().compute(output, call)

    @override
    def message(self, call: Invocation) -> Message:
        message = self._said(call, self.text(call, "input_value"))
        message.files = paths_of(self.given(call, "files"))
        return message


class ChatOutput(_Chat):
    """What the flow answers."""

    type = "ChatOutput"

    @override
    def describe(self) -> Node:
        return fields.component(
            "ChatOutput",
            "Chat Output",
            module="input_output.chat_output.ChatOutput",
            icon="MessagesSquare",
            description="Shows what the flow answers in the chat.",
            minimized=True,
            fields=[
                fields.handle(
                    "input_value",
                    "Inputs",
                    ["Data", "DataFrame", "Message"],
                    required=True,
                    info="What to answer.",
                ),
                *self._common("Machine", "AI"),
                fields.message_text(
                    "data_template",
                    "Data Template",
                    "{text}",
                    advanced=True,
                    info="How a record becomes text; {text} is the record's own text.",
                ),
                *self._colours(),
                fields.boolean(
                    "clean_data",
                    "Basic Clean Data",
                    value=True,
                    advanced=True,
                    info="Drop a table's empty rows and needless white space.",
                ),
            ],
            outputs=[
                fields.output(
                    "message", "Output Message", "Message", "message_response"
                )
            ],
        )

    @override
    def message(self, call: Invocation) -> Message:
        value = self.given(call, "input_value")
        message = self._said(call, self._as_text(call, value))
        if isinstance(value, Message):
            message.files = list(value.files)
            message.content_blocks = list(value.content_blocks)
        feeds = call.feeds.get("input_value", ())
        if feeds:
            feed = feeds[0]
            message.properties.source = Source(
                id=feed.vertex,
                display_name=feed.display_name,
                source=feed.model or feed.display_name,
            )
            message.properties.icon = message.properties.icon or feed.icon
        return message

    def _as_text(self, call: Invocation, value: Value) -> str:
        template = self.text(call, "data_template").strip() or "{text}"
        if isinstance(value, list):
            return "\n".join(self._as_text(call, item) for item in value)
        if isinstance(value, Data) and template != "{text}":
            return fill(template, words_of(value), field="Data Template")
        return text_of(value, clean=bool(self.given(call, "clean_data")))
