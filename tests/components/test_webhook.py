"""What is delivered to a webhook, as a record."""

import pytest

from domain.kernel import Json
from infrastructure.components.webhook import Webhook
from tests.components.calls import Call, build


@pytest.mark.parametrize(
    ("payload", "record"),
    [
        ('{"a": 1, "b": "x\\ny"}', {"a": 1, "b": "x\ny"}),
        ("[1, 2]", {"payload": [1, 2]}),
        ("plain words", {"payload": "plain words"}),
        ("[" * 100_000, {"payload": "[" * 100_000}),
        ("", {}),
    ],
)
async def test_a_delivery_is_a_record(payload: str, record: Json) -> None:
    assert (await build(Webhook(), data=payload)).data == record


async def test_a_delivery_that_is_no_json_is_noted() -> None:
    call = Call()

    await build(Webhook(), call, data="plain words")

    assert [name for name, _ in call.logged] == ["Payload"]
