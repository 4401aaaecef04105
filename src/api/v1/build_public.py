"""Runs of public flows, for who has nothing but the cookie of a visit."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, post
from litestar.params import FromPath, FromQuery, RequestBody
from litestar.response import Stream

from api.given import Given
from api.problems import Refusal
from api.requests import cause_of
from api.security import ANONYMOUS, PUBLIC_RUN, visiting, visitor_of
from api.streams import RunStreams
from api.v1.build import BEGUN, NDJSON, UNBUFFERED, BuildRequest, Delivery, direct
from api.v1.run_shapes import no_variables_in_headers
from application.runs import Runs
from application.visits import NotPublicError, Visits, in_their_stead

AnyRequest = Request[Any, Any, Any]


class PublicBuildController(Controller):
    """Commands go to `Visits`; what happens is read like any run's."""

    path = "/build_public_tmp"
    tags = ("Runs",)
    opt = PUBLIC_RUN
    guards = (no_variables_in_headers,)

    @post("/{flow_id:str}/flow", status_code=200, responses=BEGUN)
    async def build(
        self,
        *,
        flow_id: FromPath[UUID],
        request: AnyRequest,
        visits: Given[Visits],
        runs: Given[Runs],
        streams: Given[RunStreams],
        data: RequestBody[BuildRequest | None] = None,
        event_delivery: FromQuery[Delivery] = "polling",
        start_component_id: FromQuery[str | None] = None,
        stop_component_id: FromQuery[str | None] = None,
    ) -> Response[Any]:
        """
        Run a public flow as it is stored; what the request draws is passed over.

        Answer with the id of the run, or directly with its events.
        """
        client = visitor_of(request)
        if client is None:
            raise Refusal(400, "No client_id cookie found")
        request.state.actor = ANONYMOUS
        asked = (data or BuildRequest()).asked(start_component_id, stop_component_id)
        asked = msgspec.structs.replace(asked, files=())  # they would be the owner's
        try:
            requested = await visits.request(
                flow_id,
                client,
                asked,
                cause=await cause_of(request),
            )
        except NotPublicError:
            raise Refusal(403, "Flow is not public") from None
        visiting(request, flow_id)
        if event_delivery != "direct":
            return Response({"job_id": requested.run})
        lines = direct(requested.run, streams, runs, in_their_stead())
        return Stream(lines, media_type=NDJSON, headers=UNBUFFERED)
