"""The use cases and the adapters that they work with, joined."""

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

import msgspec

from api.adapters import KeptSessions, SignedTokens
from application.api_keys import ApiKeys
from application.documents import Documents
from application.editing import Editing, Served
from application.erasure import Erasure
from application.events import Events
from application.flows import Flows, NewFlow, from_file
from application.keys import Keys
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
from application.projects import Projects
from application.sessions import Sessions
from application.users import Passwords, Users
from application.variables import Variables
from domain.kernel import Json
from infrastructure.archive.archived_store import ArchivedEventStore
from infrastructure.archive.evidence import PostgresArchivedEntries
from infrastructure.components.registry import BuiltinComponents
from infrastructure.components.starters import starter_flows
from infrastructure.credentials import (
    ApiKeyUses,
    PasswordHashing,
    PostgresSessions,
    SignInLinks,
)
from infrastructure.event_store.browse import PostgresBrowser
from infrastructure.event_store.canvas import PostgresCanvas
from infrastructure.event_store.claims import PostgresClaims
from infrastructure.event_store.leases import PostgresLeases
from infrastructure.event_store.ownership import PostgresOwnership
from infrastructure.event_store.remains import PostgresEstate
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.evidence.verification import PostgresEvidence
from infrastructure.installation_keys import PostgresWrapping
from infrastructure.keyring import Keyring
from infrastructure.postgres import Database
from infrastructure.secrets import PostgresContents, PostgresVault
from infrastructure.settings import Settings
from infrastructure.subject_keys import PostgresSubjectKeys
from infrastructure.tokens import Tokens
from projections.all import ALL
from projections.keeping import Keeping
from projections.messages.views import MessageViews
from projections.retention import Retention
from projections.upkeep import Upkeep
from projections.users.views import UserViews


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
    messages: Messages
    served: Served
    flows: Flows
    editing: Editing
    projects: Projects
    users: Users
    erasure: Erasure
    api_keys: ApiKeys
    key_uses: ApiKeyUses
    variables: Variables
    sessions: Sessions
    evidence: Evidence
    upkeep: Upkeep
    archived: ArchivedEventStore
    retention: Retention
    keys: Keys
    signals: Signals
    subject_keys: PostgresSubjectKeys


class Means(NamedTuple):
    """What is opened before anything can be joined."""

    settings: Settings
    keyring: Keyring
    database: Database
    store: PostgresEventStore
    keys: PostgresSubjectKeys
    blobs: Blobs
    contents: PostgresContents
    vault: PostgresVault
    signals: Signals


class _Ports(NamedTuple):
    store: PostgresEventStore
    claims: Claims
    ownership: Ownership
    canvas: Canvas
    vault: Vault
    contents: PostgresContents


class _Drawing(NamedTuple):
    documents: Documents
    served: Served
    messages: Messages
    flows: Flows
    projects: Projects
    editing: Editing
    events: Events


class _Past(NamedTuple):
    evidence: Evidence
    archived: ArchivedEventStore
    retention: Retention


class _People(NamedTuple):
    users: Users
    erasure: Erasure
    api_keys: ApiKeys
    key_uses: ApiKeyUses
    variables: Variables
    sessions: Sessions


def wired(means: Means) -> World:
    """Join everything that needs nothing running beside it."""
    settings, keyring, database = means.settings, means.keyring, means.database
    ports = _ports(means)
    components = _components(settings)
    starters = tuple(starter_flows(components))
    keeping = Keeping.of(settings)
    drawing = _drawing(ports, database, keeping)
    given = list(map(from_file, starters))
    upkeep = Upkeep(database, means.store, ALL)
    people = _people(means, upkeep, ports=ports, drawing=drawing, starters=given)
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
        subject_keys=means.keys,
        **ports._asdict(),
        **drawing._asdict(),
        **people._asdict(),
        **_past(means, keeping)._asdict(),
    )


def _past(means: Means, keeping: Keeping) -> _Past:
    database, blobs, store = means.database, means.blobs, means.store
    sign = means.keyring.sign_history
    return _Past(
        evidence=PostgresEvidence(
            database.dsn,
            sign,
            lambda connection: PostgresArchivedEntries(connection, blobs, sign),
        ),
        archived=ArchivedEventStore(store, database, blobs),
        retention=Retention(database, store, blobs, sign, keeping),
    )


def _drawing(ports: _Ports, database: Database, keeping: Keeping) -> _Drawing:
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
    )
    return _Drawing(
        documents=documents,
        served=served,
        messages=messages,
        flows=flows,
        projects=Projects(store, claims=claims, ownership=ownership, flows=flows),
        editing=Editing(
            store,
            ownership=ownership,
            documents=documents,
            flows=flows,
            served=served,
        ),
        events=Events(store, PostgresBrowser(database, store), claims),
    )


def _people(
    means: Means,
    read_tables: Upkeep,
    *,
    ports: _Ports,
    drawing: _Drawing,
    starters: Sequence[NewFlow],
) -> _People:
    settings, keyring, database = means.settings, means.keyring, means.database
    store, claims, ownership = ports.store, ports.claims, ports.ownership
    lifetime = timedelta(seconds=settings.refresh_token_expire_seconds)
    opened = KeptSessions(PostgresSessions(database, lifetime=lifetime))
    passwords = Passwords(claims, ports.vault, PasswordHashing())
    api_keys = ApiKeys(
        store, claims=claims, ownership=ownership, digest=keyring.bearer_hash
    )
    key_uses = ApiKeyUses(database)
    sessions = Sessions(
        store,
        claims=claims,
        accounts=UserViews(database.engine),
        passwords=passwords,
        opened=opened,
        links=SignInLinks(database, keyring),
        mint=SignedTokens(Tokens(keyring, settings)),
        api_keys=api_keys,
        uses=key_uses,
    )
    environ = os.environ if settings.store_environment_variables else {}
    users = _users(
        ports,
        drawing,
        passwords=passwords,
        opened=opened,
        starters=starters,
        environ=environ,
    )
    variables = Variables(store, ownership=ownership, vault=ports.vault)
    erasure = _erasure(means, read_tables, opened)
    return _People(users, erasure, api_keys, key_uses, variables, sessions)


def _erasure(means: Means, read_tables: Upkeep, opened: KeptSessions) -> Erasure:
    return Erasure(
        means.store,
        estate=PostgresEstate(means.database, means.keys, means.blobs),
        sessions=opened,
        signals=means.signals,
        read_tables=read_tables,
    )


def _users(
    ports: _Ports,
    drawing: _Drawing,
    *,
    passwords: Passwords,
    opened: KeptSessions,
    starters: Sequence[NewFlow],
    environ: Mapping[str, str],
) -> Users:
    return Users(
        ports.store,
        claims=ports.claims,
        passwords=passwords,
        sessions=opened,
        flows=drawing.flows,
        starters=starters,
        vault=ports.vault,
        environ=environ,
    )


def _ports(means: Means) -> _Ports:
    database = means.database
    return _Ports(
        store=means.store,
        claims=PostgresClaims(database),
        ownership=PostgresOwnership(database),
        canvas=PostgresCanvas(database),
        vault=means.vault,
        contents=means.contents,
    )


def _components(settings: Settings) -> BuiltinComponents:
    return BuiltinComponents(
        base_urls=_base_urls(settings), allowed_hosts=settings.allowed_hosts
    )


def _base_urls(settings: Settings) -> dict[str, str]:
    urls = {
        "OpenAI": settings.openai_base_url,
        "Anthropic": settings.anthropic_base_url,
        "Google": settings.google_base_url,
        "Ollama": settings.ollama_base_url,
    }
    return {provider: url for provider, url in urls.items() if url}
