"""The use cases and the adapters that they work with, joined."""

import msgspec

from api.world.components import builtin_components
from api.world.drawing import join_drawing
from api.world.files import join_files
from api.world.mcp import join_mcp
from api.world.means import Means, ports_of
from api.world.outside import join_outside
from api.world.past import join_past
from api.world.people import join_people
from application.api_keys import ApiKeys
from application.documents import Documents
from application.editing import Editing, Served
from application.erasure import Erasure
from application.events import Events
from application.files import Files
from application.flows import Flows
from application.keys import Keys
from application.mcp_access import McpAccesses
from application.mcp_install import McpInstallation
from application.mcp_servers import McpServers
from application.messages import Messages
from application.permissions import Permissions
from application.ports import (
    Blobs,
    Canvas,
    Claims,
    Contents,
    Leases,
    Ownership,
    Signals,
    Vault,
)
from application.ports.evidence import Evidence
from application.ports.tallies import Tallies
from application.projects import Projects
from application.publishing import Publishing
from application.sessions import Sessions
from application.shopping import Shopping
from application.standing import Standings
from application.uploads import Uploads
from application.users import Users
from application.variables import Variables
from application.voices import Voices
from domain.kernel import Json
from infrastructure.archive.archived_store import ArchivedEventStore
from infrastructure.components.registry import BuiltinComponents
from infrastructure.components.starters import starter_flows
from infrastructure.credentials import (
    ApiKeyUses,
)
from infrastructure.event_store.leases import PostgresLeases
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.installation_keys import PostgresWrapping
from infrastructure.keyring import Keyring
from infrastructure.postgres import Database
from infrastructure.settings import Settings
from infrastructure.subject_keys import PostgresSubjectKeys
from projections.all import ALL
from projections.keeping import Keeping
from projections.retention import Retention
from projections.upkeep import Upkeep

__all__ = ["Means", "World", "wired"]


class World(msgspec.Struct, frozen=True, kw_only=True):
    """Adapters and use cases that need nothing running beside them."""

    settings: Settings
    keyring: Keyring
    database: Database
    blobs: Blobs
    keeping: Keeping
    store: PostgresEventStore
    events: Events
    claims: Claims
    ownership: Ownership
    leases: Leases
    canvas: Canvas
    contents: Contents
    vault: Vault
    components: BuiltinComponents
    starters: tuple[dict[str, Json], ...]
    permissions: Permissions
    documents: Documents
    mcp_accesses: McpAccesses
    mcp_servers: McpServers
    mcp_installation: McpInstallation
    messages: Messages
    served: Served
    files: Files
    flows: Flows
    editing: Editing
    publishing: Publishing
    voices: Voices
    shopping: Shopping
    projects: Projects
    users: Users
    erasure: Erasure
    api_keys: ApiKeys
    key_uses: ApiKeyUses
    variables: Variables
    sessions: Sessions
    standings: Standings
    evidence: Evidence
    uploads: Uploads
    upkeep: Upkeep
    archived: ArchivedEventStore
    retention: Retention
    keys: Keys
    signals: Signals
    tallies: Tallies
    subject_keys: PostgresSubjectKeys


def wired(means: Means) -> World:
    """Join everything that needs nothing running beside it."""
    settings, keyring, database = means.settings, means.keyring, means.database
    ports = ports_of(means)
    components = builtin_components(settings)
    starters = tuple(starter_flows(components))
    keeping = Keeping.of(settings)
    filing = join_files(means, ports)
    drawing = join_drawing(ports, database, keeping, filing.files)
    upkeep = Upkeep(database, means.store, ALL)
    people = join_people(means, upkeep, ports=ports, drawing=drawing, starters=starters)
    return World(
        settings=settings,
        keyring=keyring,
        database=database,
        blobs=means.blobs,
        keeping=keeping,
        leases=PostgresLeases(database),
        components=components,
        starters=starters,
        permissions=Permissions(ports.ownership),
        upkeep=upkeep,
        keys=Keys(means.store, PostgresWrapping(database, keyring.secrets)),
        signals=means.signals,
        tallies=means.tallies,
        subject_keys=means.keys,
        **ports._asdict(),
        **filing._asdict(),
        **drawing._asdict(),
        **people._asdict(),
        **join_outside(means, ports, drawing)._asdict(),
        **join_mcp(means, ports, people)._asdict(),
        **join_past(means, keeping)._asdict(),
    )
