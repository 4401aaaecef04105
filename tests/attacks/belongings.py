"""One of everything that somebody can have."""

from typing import NamedTuple
from uuid import uuid4

from tests.api.conftest import Person
from tests.attacks.flows import built, echo, saved

CANARY = "ada's own words 7f3a"


class Belongings(NamedTuple):
    """One of everything."""

    flow: str
    endpoint: str
    project: str
    variable: str
    key: str
    user: str
    run: str
    message: str
    session: str
    file: str
    file_name: str


async def belongings(person: Person) -> Belongings:
    """Give somebody one of everything."""
    endpoint, session = f"e-{uuid4().hex}", f"session-{uuid4().hex}"
    flow = await saved(person, echo(), endpoint_name=endpoint)
    project = await person.post("/api/v1/projects/", json={"name": "hers"})
    variable = await person.post(
        "/api/v1/variables/",
        json={"name": f"V{uuid4().hex}", "value": CANARY, "default_fields": []},
    )
    key = await person.post("/api/v1/api_key/", json={"name": "hers"})
    file = {"file": ("hers.png", CANARY.encode())}
    in_flow = await person.post(f"/api/v1/files/upload/{flow}", files=file)
    own = await person.post("/api/v2/files", files=file)
    await built(person, flow, inputs={"input_value": CANARY, "session": session})
    runs = (await person.get(f"/api/v1/runs?flow_id={flow}")).json()
    messages = await person.get(f"/api/v1/monitor/messages?flow_id={flow}")
    return Belongings(
        flow=flow,
        endpoint=endpoint,
        project=project.json()["id"],
        variable=variable.json()["id"],
        key=key.json()["id"],
        user=person.id,
        run=runs["items"][0]["id"],
        message=messages.json()[0]["id"],
        session=session,
        file=own.json()["id"],
        file_name=in_flow.json()["file_path"].partition("/")[2],
    )
