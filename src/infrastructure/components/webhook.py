"""Where a delivery from another system enters a flow."""

from typing import override

import msgspec

from application.ports.components import Invocation
from domain.run.values import Data, Value
from infrastructure.components import fields
from infrastructure.components.builtin import Builtin, Node


class Webhook(Builtin):
    """What was delivered: an object as it is, anything else as its payload."""

    type = "Webhook"
    category = "data"

    @override
    def describe(self) -> Node:
        return fields.component(
            "Webhook",
            "Webhook",
            module="data.webhook.WebhookComponent",
            icon="webhook",
            description="Starts the flow with what another system delivers to it.",
            fields=[
                fields.multiline(
                    "data",
                    "Payload",
                    advanced=True,
                    info="What was delivered; fill it in to try the flow without.",
                ),
                fields.multiline(
                    "curl",
                    "cURL",
                    "CURL_WEBHOOK",
                    advanced=True,
                    input_types=[],
                    info="A command line that delivers something.",
                ),
                fields.multiline(
                    "endpoint",
                    "Endpoint",
                    "BACKEND_URL",
                    input_types=[],
                    copy_field=True,
                    info="Where to deliver to.",
                ),
            ],
            outputs=[fields.output("output_data", "Data", "Data", "build_data")],
        )

    @override
    async def compute(self, output: str, call: Invocation) -> Value:
        payload = self.text(call, "data")
        if not payload:
            return Data()
        try:
            delivered = msgspec.json.decode(payload)
        except (msgspec.DecodeError, RecursionError):
            call.log("Payload", "What was delivered is no JSON; it is kept as text.")
            return Data(data={"payload": payload})
        if isinstance(delivered, dict):
            return Data(data=delivered)
        return Data(data={"payload": delivered})
