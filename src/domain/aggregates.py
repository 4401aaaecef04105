"""Every kind of aggregate, by the word that the tags of its events begin with."""

from collections.abc import Mapping
from typing import Any

from domain.file.file import File
from domain.flow.flow import Flow
from domain.kernel import Aggregate
from domain.mcp_server.mcp_server import McpServer
from domain.operation.operation import Operation
from domain.project.project import Project
from domain.run.run import Run
from domain.thread.thread import Thread
from domain.user.user import User

AGGREGATES: Mapping[str, type[Aggregate[Any]]] = {
    "user": User,
    "project": Project,
    "flow": Flow,
    "file": File,
    "mcp_server": McpServer,
    "run": Run,
    "thread": Thread,
    "operation": Operation,
}


def context_of(tag: str) -> str:
    """Return the word before the full stop: what kind of thing it happened to."""
    return tag.partition(".")[0]
