"""What was said before: a conversation read back, or a message put into it."""

from typing import override

from application.ports.components import Invocation, MissingSettingError
from domain.kernel import Json
from domain.run.values import DataFrame, Message, Value
from infrastructure.components import fields
from infrastructure.components.builtin import Builtin, Node, fill
from infrastructure.components.convert import message_row, text_of
from infrastructure.components.fields import Field

_SENDERS = ("Machine", "User")
_EVERYBODY = "Machine and User"
_MOST = 10_000
_RETRIEVING = ("n_messages", "order", "template", "sender_type", "sender_name")
_STORING = ("message", "sender", "sender_name")
_ALWAYS = ("mode", "memory", "session_id")
_CHOICES = frozenset({*_RETRIEVING, *_STORING, *_ALWAYS})


class Memory(Builtin):
    """The messages of a session, as text or as a table."""

    type = "Memory"
    category = "helpers"

    @override
    def describe(self) -> Node:
        return fields.component(
            "Memory",
            "Message History",
            module="helpers.memory.MemoryComponent",
            icon="message-square-more",
            description="Reads back what was said in a session, or adds to it.",
            fields=[*_what(), *_who(), *_how()],
            outputs=_outputs("Retrieve"),
        )

    @override
    def has_output(self, name: str) -> bool:
        return name in {"messages_text", "dataframe", "stored_messages"}

    @override
    def modernise(self, template: Node) -> None:
        if "sender_type" in template or not isinstance(template.get("sender"), dict):
            super().modernise(template)
            return
        # What a flow of old chose there, and a sender as it is today.
        chosen = template.pop("sender").get("value")
        super().modernise(template)
        template["sender_type"]["value"] = chosen or _EVERYBODY

    @override
    def adapt(self, node: Node, field: str) -> None:
        template = node["template"]
        storing = template["mode"]["value"] == "Store"
        shown = {*_ALWAYS, *(_STORING if storing else _RETRIEVING)}
        for name in _CHOICES:
            template[name]["show"] = name in shown

    @override
    def outputs_now(self, node: Node) -> list[Node]:
        return _outputs(node["template"]["mode"]["value"])

    @override
    async def compute(self, output: str, call: Invocation) -> Value:
        if output == "stored_messages":
            return await self._store(call)
        messages = await self._recall(call)
        if output == "dataframe":
            return DataFrame(rows=[message_row(message) for message in messages])
        template = self.text(call, "template")
        return Message(
            text="\n".join(_as_line(template, message) for message in messages),
            session_id=self._session(call),
        )

    def _session(self, call: Invocation) -> str:
        session = self.text(call, "session_id") or call.facts.session
        if not session:
            raise MissingSettingError(
                "Message History needs a session: give the run one, or fill in "
                "“Session ID”"
            )
        return session

    async def _recall(self, call: Invocation) -> list[Message]:
        limit = _count(self.given(call, "n_messages"))
        if limit == 0:
            return []
        messages = await call.history(
            session=self._session(call),
            limit=limit,
            sender=self._sender(call),
            sender_name=self.text(call, "sender_name") or None,
            descending=self.given(call, "order") == "Descending",
        )
        return [message for message in messages if not message.error]

    def _sender(self, call: Invocation) -> str | None:
        """Whose messages; flows from before ``sender_type`` kept it in ``sender``."""
        template = call.node.get("template") or {}
        field = "sender_type" if "sender_type" in template else "sender"
        sender = self.text(call, field)
        return sender if sender in _SENDERS else None

    async def _store(self, call: Invocation) -> Message:
        value = self.given(call, "message")
        if not text_of(value):
            raise MissingSettingError("There is no message to store: fill in “Message”")
        from_chat = value if isinstance(value, Message) else Message()
        sender = self.text(call, "sender")
        return await call.emit(
            Message(
                text=text_of(value),
                sender=sender if sender in _SENDERS else from_chat.sender,
                sender_name=self.text(call, "sender_name") or from_chat.sender_name,
                session_id=self._session(call),
                flow_id=str(call.facts.flow),
                files=list(from_chat.files),
            )
        )


def _count(value: Value) -> int:
    """How many messages; what is no number counts as all."""
    if isinstance(value, int | float):
        return max(0, min(int(value), _MOST))
    return _MOST


def _as_line(template: str, message: Message) -> str:
    words = {key: text_of(value) for key, value in message_row(message).items()}
    return fill(template, words, field="Template")


def _outputs(mode: Json) -> list[Field]:
    if mode == "Store":
        return [
            fields.output(
                "stored_messages",
                "Stored Messages",
                "Message",
                "store_message",
                hidden=True,
            )
        ]
    text = fields.output(
        "messages_text", "Message", "Message", "retrieve_messages_as_text"
    )
    table = fields.output(
        "dataframe",
        "Dataframe",
        "DataFrame",
        "retrieve_messages_dataframe",
        selected=None,
    )
    return [text, table]


def _what() -> list[Field]:
    return [
        fields.tab(
            "mode",
            "Mode",
            ["Retrieve", "Store"],
            "Retrieve",
            real_time_refresh=True,
            info="Read messages back, or add one.",
        ),
        fields.message_text(
            "message",
            "Message",
            tool_mode=True,
            dynamic=True,
            show=False,
            info="The message to add.",
        ),
        fields.handle(
            "memory",
            "External Memory",
            ["Memory"],
            advanced=True,
            info="Another place to remember; empty means this server's own.",
        ),
    ]


def _who() -> list[Field]:
    return [
        fields.dropdown(
            "sender_type",
            "Sender Type",
            [*_SENDERS, _EVERYBODY],
            _EVERYBODY,
            advanced=True,
            info="Whose messages to read.",
        ),
        fields.message_text(
            "sender",
            "Sender",
            advanced=True,
            info="Who says the message to add: Machine or User.",
        ),
        fields.message_text(
            "sender_name",
            "Sender Name",
            advanced=True,
            show=False,
            info="Only messages under this name.",
        ),
    ]


def _how() -> list[Field]:
    return [
        fields.integer(
            "n_messages",
            "Number of Messages",
            100,
            advanced=True,
            info="How many messages to read, counted from the last.",
        ),
        fields.message_text(
            "session_id",
            "Session ID",
            advanced=True,
            info="Which conversation; empty means the run's own.",
        ),
        fields.dropdown(
            "order",
            "Order",
            ["Ascending", "Descending"],
            "Ascending",
            tool_mode=True,
            required=True,
            advanced=True,
            info="Oldest or newest first.",
        ),
        fields.multiline(
            "template",
            "Template",
            "{sender_name}: {text}",
            advanced=True,
            show=False,
            info="A message as a line of text: {text}, {sender}, {sender_name} and "
            "whatever else a message has.",
        ),
    ]
