"""Flows: listed, drawn, saved, deleted, carried in and out as files."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from langbuilder.listing import PAGE, Listing, paged
from langbuilder.models import Flow, FlowHeader, Id, Project, id_of
from langbuilder.operations import Resource, operation
from langbuilder.steps import Steps
from langbuilder.uploads import Progress, Source, downloading, uploading
from langbuilder.wire import UNSET, Answer, Call, at, command, get, given

type Unset = msgspec.UnsetType
type Document = Mapping[str, Any]

JSON_FILE = "application/json"


class Flows[D](Resource[D]):
    """Flows; where one is asked for, it may be given itself, or its id."""

    @operation
    def get(self, flow: FlowHeader | Id) -> Steps[Flow]:
        """Return a flow with its document and version."""
        return _flow((yield from self._send(get(_of(flow)))))

    @operation
    def create(
        self,
        /,
        name: str,
        *,
        data: Document | None = None,
        description: str | None = None,
        project: Project | Id | None = None,
        endpoint_name: str | None = None,
        key: str | None = None,
        **more: Any,
    ) -> Steps[Flow]:
        """
        Create a flow, and return it as it came to be.

        If the name is taken, it gets a number behind it. Without *project* it lies in
        the first one. *more* are further fields of a flow, such as ``tags``.
        """
        body = more | given(
            name=name,
            data=data,
            description=description,
            folder_id=None if project is None else id_of(project),
            endpoint_name=endpoint_name,
        )
        call = command("POST", "/api/v1/flows/", body, key=key)
        return _flow((yield from self._send(call)))

    @operation
    def update(
        self,
        flow: FlowHeader | Id,
        *,
        expected_version: int | None = None,
        name: str | Unset = UNSET,
        description: str | Unset = UNSET,
        data: Document | Unset = UNSET,
        project: Project | Id | Unset = UNSET,
        endpoint_name: str | Unset | None = UNSET,
        locked: bool | Unset = UNSET,
        access_type: str | Unset = UNSET,
        mcp_enabled: bool | Unset = UNSET,
        action_name: str | Unset = UNSET,
        action_description: str | Unset = UNSET,
        key: str | None = None,
    ) -> Steps[Flow]:
        """
        Save what is given of a flow, and return it as it is then.

        The base of the change is *expected_version*, or the version of *flow* as you
        read it, or how the flow stands. What others changed since then stays; the same
        place raises `ConflictError` with both values. ``None`` takes an endpoint away.
        """
        expected, endpoint_name = yield from self._base(
            flow, expected_version, endpoint_name
        )
        body = given(
            name=name,
            description=description,
            data=data,
            folder_id=project if project is UNSET else id_of(project),
            endpoint_name=endpoint_name,
            locked=locked,
            access_type=access_type,
            mcp_enabled=mcp_enabled,
            action_name=action_name,
            action_description=action_description,
        )
        return (yield from self._save(flow, expected, body, key))

    @operation
    def delete(self, flow: FlowHeader | Id, *, key: str | None = None) -> Steps[None]:
        """Delete a flow, with what was said and built in it."""
        yield from self._send(command("DELETE", _of(flow), key=key))

    @operation
    def delete_many(
        self, flows: Iterable[FlowHeader | Id], *, key: str | None = None
    ) -> Steps[int]:
        """Delete flows, and return how many; unknown ones are passed over."""
        ids = [str(id_of(flow)) for flow in flows]
        answer = yield from self._send(
            command("DELETE", "/api/v1/flows/", ids, key=key)
        )
        return answer.read(dict[str, int])["deleted"]

    @operation
    def headers(self) -> Steps[tuple[FlowHeader, ...]]:
        """Return all flows without their documents, in one answer."""
        call = get(
            "/api/v1/flows/", get_all=True, header_flows=True, remove_example_flows=True
        )
        return (yield from self._send(call)).read(tuple[FlowHeader, ...])

    @operation
    def export(self, flow: FlowHeader | Id) -> Steps[dict[str, Any]]:
        """Return a flow as a file holds it, without its secrets."""
        answer = yield from self._send(_exporting([flow]))
        return answer.read(dict[str, Any])

    @operation
    def download(
        self,
        flows: Iterable[FlowHeader | Id],
        to: str | os.PathLike[str],
        *,
        progress: Progress | None = None,
    ) -> Steps[Path]:
        """
        Write flows into the file *to*, without their secrets.

        One flow is written as JSON, several as a zip with a file each.
        """
        call = msgspec.structs.replace(_exporting(flows), opened=True)
        return (yield from downloading(self._sending, call, to, progress))

    @operation
    def upload(
        self,
        source: Source | Document,
        *,
        project: Project | Id | None = None,
        key: str | None = None,
    ) -> Steps[tuple[Flow, ...]]:
        """
        Create the flows of a file, and return them.

        *source* is a path, bytes, an open binary file, or what `export` returned: one
        flow, or ``{"flows": […]}``.
        """
        if isinstance(source, Mapping):
            source = msgspec.json.encode(source)
        query = {} if project is None else {"folder_id": str(id_of(project))}
        call = uploading(
            "/api/v1/flows/upload/",
            source,
            name="flows.json",
            query=query,
            key=key,
            content_type=JSON_FILE,
        )
        return (yield from self._send(call)).read(tuple[Flow, ...])

    def list(
        self, project: Project | Id | None = None, *, page_size: int = PAGE
    ) -> Listing[D, Flow]:
        """List flows with their documents: those of a project, or all."""
        return Listing(self._driver, lambda: self._pages(project, page_size))

    def _save(
        self,
        flow: FlowHeader | Id,
        version: int | None,
        body: Document,
        key: str | None,
    ) -> Steps[Flow]:
        match = {"if-match": f'"{version}"'} if version else {}
        call = command("PATCH", _of(flow), body, headers=match, key=key)
        return _flow((yield from self._send(call)))

    def _base(
        self, flow: FlowHeader | Id, version: int | None, endpoint: str | Unset | None
    ) -> Steps[tuple[int | None, str | None]]:
        """Return the version to change, and the endpoint name to have."""
        if version is not None and endpoint is not UNSET:
            return version, endpoint
        read = flow if isinstance(flow, Flow) and flow.version else None
        read = read or (yield from Flows.get.steps(self, flow))
        # Not to send the name would take it away.
        name = read.endpoint_name if endpoint is UNSET else endpoint
        return version or read.version, name

    def _pages(self, project: Project | Id | None, size: int) -> Steps[None]:
        projects: Iterable[Project | Id] = [project] if project is not None else ()
        if project is None:
            projects = yield from self._whole(get("/api/v1/projects/"), Project)
        for one in projects:
            yield from self._pages_of(id_of(one), size)

    def _pages_of(self, project: str, size: int) -> Steps[None]:
        def asking(page: int) -> Call:
            return get(
                "/api/v1/flows/",
                get_all=False,
                folder_id=project,
                page=page,
                size=size,
            )

        yield from paged(self._send, asking, Flow)


def _of(flow: FlowHeader | Id) -> str:
    return at("/api/v1/flows/{}", id_of(flow))


def _flow(answer: Answer) -> Flow:
    return msgspec.structs.replace(answer.read(Flow), version=answer.etag)


def _exporting(flows: Iterable[FlowHeader | Id]) -> Call:
    ids = [str(id_of(flow)) for flow in flows]
    return command("POST", "/api/v1/flows/download/", ids, once=False)
