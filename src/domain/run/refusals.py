"""Why a flow cannot be carried out as it is drawn."""

from domain.kernel import DomainError


class GraphError(DomainError):
    """The flow cannot be carried out as it is drawn."""

    @property
    def text(self) -> str:
        """The refusal in LangBuilder's words."""
        return "; ".join(str(argument) for argument in self.args)


class UnknownVertexError(GraphError):
    """The flow has no vertex with this id."""


class BadVertexError(GraphError):
    """A vertex cannot be told apart from the others."""


class BadEdgeError(GraphError):
    """An edge joins what does not fit together."""


class TwoChatInputsError(GraphError):
    """A flow has one way into its chat."""


class EndlessCircleError(GraphError):
    """Vertices wait for each other, with no loop or router to let one begin."""


class StartAndStopError(GraphError):
    """A run begins at a vertex or ends at one, not both."""
