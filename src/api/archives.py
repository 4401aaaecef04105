"""Flows as files: what is read from an upload, and what files are called."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from litestar.datastructures import UploadFile

from api.icons import with_emoji
from api.problems import Refusal
from application.flows import NewFlow, from_file
from application.names import Name
from domain.kernel import Json

ZIP: Final = "application/x-zip-compressed"
LONGEST_NAME: Final = 120
MOST_FLOWS: Final = 1_000
_UNSAFE = re.compile(r"[^\w .()\[\]+=,@-]")


class ProjectFile(msgspec.Struct, frozen=True):
    """A project as an uploaded file holds it."""

    name: str
    description: str | None
    flows: list[NewFlow]


async def uploaded_json(form: Mapping[str, Any], *, limit: int) -> Json:
    """Read the JSON file that a form brings as ``file``, of at most *limit* bytes."""
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise Refusal(422, "The form has no file")
    data = await file.read(limit + 1)
    if len(data) > limit:
        raise Refusal(413, "The file is too large")
    return msgspec.json.decode(data)


def flows_in(content: Json) -> list[NewFlow]:
    """Return the flows of a file: one, or a list under ``flows``."""
    flows = content.get("flows") if isinstance(content, dict) else content
    if flows is None:
        flows = [content]
    if not isinstance(flows, list) or not all(isinstance(f, dict) for f in flows):
        raise Refusal(422, "The file holds no flow")
    if len(flows) > MOST_FLOWS:
        raise Refusal(422, f"A file may hold {MOST_FLOWS} flows")
    return [with_emoji(from_file(flow)) for flow in flows]


def project_in(content: Json) -> ProjectFile:
    """Return the project of a file."""
    if not isinstance(content, dict) or not content:
        raise Refusal(400, "No flows found in the file")
    if "flows" not in content:
        raise Refusal(400, "No flows found in the data")
    name = content.get("folder_name") or content.get("name") or "Uploaded project"
    description = content.get("folder_description") or content.get("description")
    if not isinstance(name, str) or not isinstance(description, str | None):
        raise Refusal(422, "The project's name and description are texts")
    name = msgspec.convert(name, Name)
    return ProjectFile(name, description, flows_in({"flows": content["flows"]}))


def file_name(name: str) -> str:
    """Return *name* without what means something to file systems."""
    return _UNSAFE.sub("_", name).strip(" .-")[:LONGEST_NAME] or "flow"
