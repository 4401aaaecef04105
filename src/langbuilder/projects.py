"""Projects: where flows lie."""

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from langbuilder.models import Flow, FlowHeader, Id, Project, id_of
from langbuilder.operations import Resource, operation
from langbuilder.steps import Steps
from langbuilder.uploads import Progress, Source, downloading, uploading
from langbuilder.wire import UNSET, Call, at, command, get, given

type Unset = msgspec.UnsetType


class Projects[D](Resource[D]):
    """Projects; a project's flows are listed by `Flows.list`."""

    @operation
    def list(self) -> Steps[tuple[Project, ...]]:
        """Return all projects, the first one first."""
        return (yield from self._whole(get("/api/v1/projects/"), Project))

    @operation
    def get(self, project: Project | Id) -> Steps[Project]:
        """Return a project."""
        call = get(_of(project), page=1, size=1)
        return (yield from self._send(call)).read(_Folder).folder

    @operation
    def create(
        self,
        name: str,
        *,
        description: str | None = None,
        flows: Iterable[FlowHeader | Id] = (),
        key: str | None = None,
    ) -> Steps[Project]:
        """Open a project and move *flows* into it; a taken name gets a number."""
        body = {
            "name": name,
            "description": description,
            "flows_list": [id_of(flow) for flow in flows],
        }
        call = command("POST", "/api/v1/projects/", body, key=key)
        return (yield from self._send(call)).read(Project)

    @operation
    def update(
        self,
        project: Project | Id,
        *,
        name: str | Unset = UNSET,
        description: str | Unset = UNSET,
        key: str | None = None,
    ) -> Steps[Project]:
        """Give a project another name or description."""
        body = given(name=name, description=description)
        call = command("PATCH", _of(project), body, key=key)
        return (yield from self._send(call)).read(Project)

    @operation
    def delete(self, project: Project | Id, *, key: str | None = None) -> Steps[None]:
        """Delete a project with its flows."""
        yield from self._send(command("DELETE", _of(project), key=key))

    @operation
    def download(
        self,
        project: Project | Id,
        to: str | os.PathLike[str],
        *,
        progress: Progress | None = None,
    ) -> Steps[Path]:
        """Write a project's flows into the zip file *to*, without their secrets."""
        path = at("/api/v1/projects/download/{}", id_of(project))
        call = Call(method="GET", path=path, opened=True)
        return (yield from downloading(self._sending, call, to, progress))

    @operation
    def upload(
        self, source: Source, *, key: str | None = None
    ) -> Steps[tuple[Flow, ...]]:
        """Open a project with the flows of a file, and return those."""
        call = uploading(
            "/api/v1/projects/upload/",
            source,
            name="project.json",
            key=key,
            content_type="application/json",
        )
        return (yield from self._send(call)).read(tuple[Flow, ...])


class _Folder(msgspec.Struct, frozen=True):
    folder: Project


def _of(project: Project | Id) -> str:
    return at("/api/v1/projects/{}", id_of(project))
