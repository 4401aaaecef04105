"""What handlers may ask for, by the name of a parameter."""

from pathlib import Path
from typing import Any

import msgspec
from litestar import Request
from litestar.di import Provide

from api.composition import Application, World
from api.front_end import FrontEnd
from api.given import Given
from api.lists import part_of
from api.openai.naming import FlowModels
from api.requests import (
    Answers,
    actor_of,
    cause_of,
)
from api.security import CookieRules
from api.v1.examples import Examples
from api.v1.flow_lists import whole_flows
from api.v1.system import ServerFacts
from api.voice.exchange import Exchange
from application.pictures import Pictures
from application.ports import Freshness
from application.replies import Replies
from application.visits import Visits
from application.webhooks import Webhooks
from infrastructure.components.prompts import validate_prompt
from infrastructure.settings import Settings
from infrastructure.settings.serving import MEGABYTE
from projections.api_keys.views import ApiKeyViews
from projections.files.views import FileViews
from projections.flows.views import FlowViews
from projections.mcp_servers.views import McpServerViews
from projections.messages.views import MessageViews
from projections.projects.views import ProjectViews
from projections.publications.views import PublicationViews
from projections.runs.views import RunViews
from projections.transactions.views import TransactionViews
from projections.users.views import UserViews
from projections.variables.views import VariableViews
from projections.vertex_builds.views import BuildViews

WORLD = (
    "settings",
    "store",
    "claims",
    "contents",
    "vault",
    "components",
    "permissions",
    "events",
    "documents",
    "served",
    "files",
    "flows",
    "editing",
    "publishing",
    "voices",
    "shopping",
    "projects",
    "users",
    "erasure",
    "api_keys",
    "key_uses",
    "variables",
    "mcp_accesses",
    "mcp_servers",
    "mcp_installation",
    "messages",
    "sessions",
    "uploads",
    "upkeep",
)
SERVING = (
    *("runs", "flows_to_run", "hub", "streams", "polls", "signals"),
    *("sockets", "talks"),
)
"""What handlers are given of the `World` and the `Application`, under these names."""


def dependencies_of(application: Application) -> dict[str, Provide]:
    """Return everything that handlers may ask for, by name."""
    things: dict[str, object] = {
        **{name: getattr(application.world, name) for name in WORLD},
        **{name: getattr(application, name) for name in SERVING},
        **_doors(application),
        **_views(application.world),
        **_words(application.world),
        "freshness": application.daemon,
        "pulse": application.daemon.pulse,
        "read_prompt": validate_prompt,
    }
    return {name: _always(thing) for name, thing in things.items()} | {
        "actor": Provide(actor_of, sync_to_thread=False),
        "cause": Provide(cause_of),
        "answers": Provide(_answers, sync_to_thread=False),
        "part": Provide(part_of, sync_to_thread=False),
        "whole_flows": Provide(whole_flows, sync_to_thread=False),
        "cookie_rules": _by_scheme(_cookie_rules(application.world.settings)),
    }


def _doors(application: Application) -> dict[str, object]:
    """Return what the doors work with that run flows: chats, completions, tools."""
    world, runs, streams = application.world, application.runs, application.streams
    replies = Replies(runs, streams, world.store, world.contents)
    exchange = Exchange(
        sockets=application.sockets,
        voices=world.voices,
        flows_to_run=application.flows_to_run,
        replies=replies,
        streams=streams,
    )
    return {
        "replies": replies,
        "flow_models": FlowModels(
            application.flows_to_run,
            FlowViews(world.database.engine),
            Pictures(world.uploads, world.files),
        ),
        "exchange": exchange,
        "visits": Visits(runs, application.flows_to_run, world.store, world.standings),
        "webhooks": Webhooks(
            world.store,
            ownership=world.ownership,
            vault=world.vault,
            flows=application.flows_to_run,
            accounts=world.standings,
        ),
    }


def _views(world: World) -> dict[str, object]:
    engine, keeping = world.database.engine, world.keeping
    return {
        "user_views": UserViews(engine),
        "api_key_views": ApiKeyViews(engine),
        "project_views": ProjectViews(engine),
        "flow_views": FlowViews(engine),
        "file_views": FileViews(engine),
        "publication_views": PublicationViews(engine),
        "mcp_server_views": McpServerViews(engine),
        "variable_views": VariableViews(engine),
        "message_views": MessageViews(engine, keeping),
        "build_views": BuildViews(engine, keeping),
        "transaction_views": TransactionViews(engine, keeping),
        "run_views": RunViews(engine, keeping),
    }


def _words(world: World) -> dict[str, object]:
    settings = world.settings
    return {
        "front_end": _front_end(settings),
        "facts": _facts(settings),
        "auto_login": settings.auto_login,
        "show_docs": settings.show_docs,
        "data_path": settings.data_path,
        "has_redis": settings.redis_url is not None,
        "new_user_is_active": settings.new_user_is_active,
        "max_json": settings.max_json_body_bytes,
        "largest_file": settings.max_file_size_upload * MEGABYTE,
        "examples": Examples.of(world.starters),
        "catalogue": msgspec.json.encode(world.components.catalogue()),
    }


def _always(thing: object) -> Provide:
    return Provide(lambda: thing, sync_to_thread=False)


def _by_scheme(rules: CookieRules) -> Provide:
    def given(request: Request[Any, Any, Any]) -> CookieRules:
        return rules.over(request.url.scheme)

    return Provide(given, sync_to_thread=False)


def _answers(request: Request[Any, Any, Any], freshness: Given[Freshness]) -> Answers:
    return Answers(request, freshness)


def _cookie_rules(settings: Settings) -> CookieRules:
    return CookieRules(
        domain=settings.cookie_domain,
        access={
            "samesite": settings.access_same_site,
            "secure": settings.access_secure,
            "httponly": settings.access_httponly,
        },
        refresh={
            "samesite": settings.refresh_same_site,
            "secure": settings.refresh_secure,
            "httponly": settings.refresh_httponly,
        },
        access_seconds=settings.access_token_expire_seconds,
        refresh_seconds=settings.refresh_token_expire_seconds,
    )


def _front_end(settings: Settings) -> FrontEnd:
    folder = settings.frontend_path
    return FrontEnd.of(Path(folder)) if folder else FrontEnd({})


def _facts(settings: Settings) -> ServerFacts:
    return ServerFacts(
        auto_saving=settings.auto_saving,
        auto_saving_interval=settings.auto_saving_interval,
        health_check_max_retries=settings.health_check_max_retries,
        max_file_size_upload=settings.max_file_size_upload,
        event_delivery=settings.event_delivery,
        public_flow_cleanup_interval=settings.public_flow_cleanup_interval,
        public_flow_expiration=settings.public_flow_expiration,
    )
