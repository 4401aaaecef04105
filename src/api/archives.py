"""Flows as files: what is read from an upload, what is packed for a download."""

import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import msgspec
from litestar import Response
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


def zipped(flows: Sequence[Mapping[str, Any]], *, name: str) -> Response[bytes]:
    """Pack flows into one file, each as JSON under its own name."""
    packed = io.BytesIO()
    taken: set[str] = set()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for flow in flows:
            inside = _free(file_name(str(flow["name"])), taken)
            archive.writestr(
                f"{inside}.json", msgspec.json.format(msgspec.json.encode(flow))
            )
    filename = f"{datetime.now(UTC):%Y%m%d_%H%M%S}_{name}_flows.zip"
    return Response(
        packed.getvalue(),
        media_type=ZIP,
        headers={
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(filename, '')}"
        },
    )


def file_name(name: str) -> str:
    """Return *name* without what means something to file systems."""
    return _UNSAFE.sub("_", name).strip(" .-")[:LONGEST_NAME] or "flow"


def _free(name: str, taken: set[str]) -> str:
    free, n = name, 1
    while free.casefold() in taken:
        free, n = f"{name} ({n})", n + 1
    taken.add(free.casefold())
    return free
