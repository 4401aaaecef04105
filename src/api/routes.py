"""Every route there is, by the address it lies under."""

from typing import Final

from litestar import Controller, Router
from litestar.types import ControllerRouterHandler

from api.front_end import FrontEndController
from api.mcp.doors import McpController, McpProjectController
from api.mcp.install import McpInstallController
from api.mcp.projects import McpSettingsController, SeedMcpSettingsController
from api.openai.completions import CompletionController
from api.openai.kept_responses import KeptResponseController
from api.openai.models import ModelController
from api.openai.responses import LangBuilderResponseController, ResponseController
from api.openapi.pages import DocsController
from api.page import OwnPageController, PageController
from api.v1.api_keys import ApiKeyController
from api.v1.build import BuildController
from api.v1.build_public import PublicBuildController
from api.v1.chat import ChatSocketController
from api.v1.chat_by_http import ChatController
from api.v1.components import ComponentController
from api.v1.deprecated import DeprecatedController
from api.v1.erasure import ErasureController
from api.v1.events import EventController
from api.v1.files import FileController, UploadController
from api.v1.flows import FlowController
from api.v1.login import LoginController
from api.v1.logs import LogController
from api.v1.monitor import MonitorController
from api.v1.profile_pictures import ProfilePictureController
from api.v1.projections import ProjectionController
from api.v1.projects import FolderController, ProjectController
from api.v1.publish import PublishController, UndefinedController
from api.v1.run import RunController
from api.v1.runs import RunsController
from api.v1.starter_projects import StarterController
from api.v1.store import StoreController, StoreKeyController
from api.v1.system import ConfigController, HealthController
from api.v1.users import UserController
from api.v1.variables import VariableController
from api.v1.voice import VoiceController
from api.v1.webhooks import WebhookAccessController, WebhookController
from api.v2.files import UserFileController
from api.v2.mcp_servers import McpServerController

MCP = (
    McpController,
    McpProjectController,
    McpSettingsController,
    McpInstallController,
)

V1 = (
    LoginController,
    UserController,
    ApiKeyController,
    ProjectController,
    FolderController,
    FlowController,
    StarterController,
    FileController,
    ProfilePictureController,
    UploadController,
    VariableController,
    MonitorController,
    ConfigController,
    ComponentController,
    StoreController,
    StoreKeyController,
    *MCP,
    SeedMcpSettingsController,
    BuildController,
    PublicBuildController,
    RunController,
    RunsController,
    ChatSocketController,
    ChatController,
    LangBuilderResponseController,
    KeptResponseController,
    PublishController,
    UndefinedController,
    WebhookController,
    WebhookAccessController,
    DeprecatedController,
    VoiceController,
    EventController,
    ProjectionController,
    ErasureController,
)

MOUNTED: Final[dict[str, tuple[type[Controller], ...]]] = {
    "": (HealthController, LogController),
    "/api/v1": V1,
    "/api/v2": (UserFileController, McpServerController),
    "/api": MCP,
    "/v1": (
        ModelController,
        CompletionController,
        ResponseController,
        KeptResponseController,
    ),
}
"""Controllers by the address they lie under, in the order of the reference."""


def routes(*, front_end: bool = False) -> list[ControllerRouterHandler]:
    """Return the routes of one application, with another front end if there is one."""
    index = FrontEndController if front_end else OwnPageController
    routers = [
        Router(path or "/", route_handlers=controllers)
        for path, controllers in MOUNTED.items()
    ]
    return [PageController, index, DocsController, *routers]
