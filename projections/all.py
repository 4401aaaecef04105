"""Every projection there is."""

from projections.api_keys.projector import ApiKeysProjector
from projections.files.projector import FilesProjector
from projections.flows.projector import FlowsProjector
from projections.mcp_servers.projector import McpServersProjector
from projections.messages.projector import MessagesProjector
from projections.projector import Projector
from projections.projects.projector import ProjectsProjector
from projections.publications.projector import PublicationsProjector
from projections.runs.projector import RunsProjector
from projections.transactions.projector import TransactionsProjector
from projections.users.projector import UsersProjector
from projections.variables.projector import VariablesProjector
from projections.vertex_builds.projector import VertexBuildsProjector

ALL: tuple[Projector, ...] = (
    UsersProjector(),
    ApiKeysProjector(),
    VariablesProjector(),
    ProjectsProjector(),
    FlowsProjector(),
    FilesProjector(),
    PublicationsProjector(),
    McpServersProjector(),
    MessagesProjector(),
    VertexBuildsProjector(),
    TransactionsProjector(),
    RunsProjector(),
)
