"""Flows, their projects, documents and messages."""

from typing import NamedTuple

from api.world.means import Ports
from application.documents import Documents
from application.editing import Editing, Served
from application.events import Events
from application.files import Files
from application.flows import Flows
from application.messages import Messages
from application.projects import Projects
from infrastructure.event_store.browse import PostgresBrowser
from infrastructure.postgres import Database
from projections.keeping import Keeping
from projections.messages.views import MessageViews


class Drawing(NamedTuple):
    documents: Documents
    served: Served
    messages: Messages
    flows: Flows
    projects: Projects
    editing: Editing
    events: Events


def join_drawing(
    ports: Ports, database: Database, keeping: Keeping, files: Files
) -> Drawing:
    store, claims, ownership = ports.store, ports.claims, ports.ownership
    documents, served = Documents(ports.canvas, ports.vault), Served()
    messages = Messages(
        store,
        claims=claims,
        contents=ports.contents,
        said=MessageViews(database.engine, keeping),
    )
    flows = Flows(
        store,
        claims=claims,
        ownership=ownership,
        documents=documents,
        messages=messages,
        files=files,
    )
    return Drawing(
        documents=documents,
        served=served,
        messages=messages,
        flows=flows,
        projects=Projects(
            store,
            claims=claims,
            ownership=ownership,
            flows=flows,
            vault=ports.vault,
        ),
        editing=Editing(
            store,
            ownership=ownership,
            documents=documents,
            flows=flows,
            served=served,
        ),
        events=Events(store, PostgresBrowser(database, store), claims),
    )
