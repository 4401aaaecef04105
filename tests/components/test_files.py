"""Files in a flow: read as text, table or record, and shown to models."""

from typing import Any

import pytest

from application.ports.components import (
    ComponentFailedError,
    FileMissingError,
    FileTooLongError,
    MissingSettingError,
)
from domain.run.values import Data, DataFrame, Message
from infrastructure.components.attachments import LARGEST_TEXT, decoded, shown
from infrastructure.components.chat import ChatInput
from infrastructure.components.files import File
from infrastructure.components.prompts import PromptTemplate
from tests.components.calls import Call, build

FILES = {
    "u/a.txt": b"first",
    "u/b.md": b"second",
    "u/t.csv": b'name,note\nada,"a, b"\nbob,\n',
    "u/r.json": b'{"a": [1, 2]}',
    "u/l.json": b"[1]",
    "u/broken.json": b"{",
    "u/x.pdf": b"%PDF",
    "u/y.exe": b"MZ",
    "u/p.png": b"\x89PNG",
}


async def read(paths: Any, output: str = "message", **fields: Any) -> Any:
    call = Call(files=FILES, wanted=(output,))
    return await build(File(), call, path=paths, **fields)


async def test_a_file_is_read_as_text() -> None:
    assert (await read("u/a.txt")).text == "first"


async def test_texts_of_several_files_stand_apart() -> None:
    assert (await read(["u/a.txt", "u/b.md"])).text == "first\n\nsecond"
    joined = await read(["u/a.txt", "u/b.md"], separator="\\n--\\n")
    assert joined.text == "first\n--\nsecond"


async def test_a_csv_is_a_table() -> None:
    assert await read("u/t.csv", "dataframe") == DataFrame(
        rows=[{"name": "ada", "note": "a, b"}, {"name": "bob", "note": ""}]
    )


async def test_json_is_a_record() -> None:
    assert await read("u/r.json", "json") == Data(data={"a": [1, 2]})
    assert await read("u/l.json", "json") == Data(data={"results": [1]})
    with pytest.raises(ComponentFailedError, match=r"broken\.json"):
        await read("u/broken.json", "json")


async def test_several_files_are_a_table() -> None:
    assert await read(["u/a.txt", "u/b.md"], "dataframe") == DataFrame(
        rows=[
            {"file_path": "u/a.txt", "text": "first"},
            {"file_path": "u/b.md", "text": "second"},
        ]
    )


async def test_a_path_that_came_in_goes_before() -> None:
    record = Data(data={"file_path": "u/b.md"})
    assert (await read("u/a.txt", file_path=[record])).text == "second"
    assert (await read("u/a.txt", file_path=Message(text="u/b.md"))).text == "second"


async def test_the_path_itself_is_told() -> None:
    assert (await read("u/a.txt", "path")).text == "u/a.txt"
    with pytest.raises(FileMissingError):
        await read("u/none.txt", "path")


async def test_what_nobody_can_read_is_said() -> None:
    with pytest.raises(ComponentFailedError, match=r"x\.pdf"):
        await read("u/x.pdf")
    with pytest.raises(ComponentFailedError, match=r"y\.exe"):
        await read("u/y.exe")
    with pytest.raises(MissingSettingError):
        await read([])
    with pytest.raises(FileMissingError, match="u/none"):
        await read("u/none.txt")


async def test_the_rest_is_read_without_what_cannot_be() -> None:
    assert (await read(["u/y.exe", "u/a.txt"])).text == "first"
    paths = ["u/x.pdf", "u/none.txt", "u/a.txt"]
    assert (await read(paths, silent_errors=True)).text == "first"
    with pytest.raises(ComponentFailedError):
        await read(["u/y.exe", "u/a.txt"], ignore_unsupported_extensions=False)


async def test_a_file_that_is_too_large_is_not_read() -> None:
    call = Call(files={"u/a.txt": b"x" * (LARGEST_TEXT + 1)})

    with pytest.raises(FileTooLongError):
        await build(File(), call, path="u/a.txt")


@pytest.mark.parametrize(
    ("paths", "outputs"),
    [
        ([], ["message"]),
        (["u/a.txt"], ["message", "path"]),
        (["u/t.csv"], ["dataframe", "message", "path"]),
        (["u/r.json"], ["json", "message", "path"]),
        (["u/a.txt", "u/b.txt"], ["dataframe"]),
    ],
)
def test_the_outputs_follow_the_files(paths: list[str], outputs: list[str]) -> None:
    node = File().schema()
    node["template"]["path"]["file_path"] = paths

    updated = File().updated(node, "path", paths)

    assert [output["name"] for output in updated["outputs"]] == outputs


async def test_what_goes_with_a_message_must_be_there() -> None:
    call = Call(files=FILES)
    said = await build(ChatInput(), call, input_value="look", files=["u/p.png"])

    assert said.files == ["u/p.png"]
    with pytest.raises(FileMissingError, match="/etc/passwd"):
        await build(ChatInput(), Call(files=FILES), files=["/etc/passwd"])


async def test_a_prompt_passes_files_on() -> None:
    message = Message(text="hi", files=["u/p.png"])

    made = await build(PromptTemplate(), template="<{a}>", a=message)

    assert (made.text, made.files) == ("<hi>", ["u/p.png"])


async def test_a_model_is_shown_images_and_texts() -> None:
    call = Call(files=FILES)

    assert await shown(call, "hi", []) == "hi"
    assert await shown(call, "hi", ["u/p.png", "u/a.txt"]) == [
        {"type": "text", "text": "hi"},
        {
            "type": "image_url",
            "image_url": {"url": "data:image/png;base64,iVBORw=="},
        },
        {"type": "text", "text": "a.txt:\n\nfirst"},
    ]
    with pytest.raises(ComponentFailedError, match=r"x\.pdf"):
        await shown(call, "hi", ["u/x.pdf"])


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"gr\xc3\xbcn", "grün"),
        (b"\xef\xbb\xbfgr\xc3\xbcn", "grün"),
        ("grün".encode("utf-16"), "grün"),
        (b"gr\xfcn", "grün"),
    ],
)
def test_text_is_read_as_what_it_is(data: bytes, text: str) -> None:
    assert decoded(data) == text
