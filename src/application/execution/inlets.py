"""A run's values on their way between vertices, and into their fields."""

from collections.abc import Collection, Mapping

from application.execution.inputs import (
    CredentialExposedError,
    VariableMissingError,
    arrived,
    converted,
    variables_in,
)
from application.execution.journal import on_firm_ground
from application.execution.script import Script
from application.execution.variables import NAME, Variable, VariableValues
from application.ports.components import Component, Feed
from domain.kernel import Json
from domain.run.values import Value


class Inlets:
    """Keeps what vertices came to, and fills the fields of those they feed."""

    def __init__(self, script: Script, variables: VariableValues) -> None:
        self.secrets = [text for text in script.secrets if not NAME.fullmatch(text)]
        self._script = script
        self._source = variables
        self._known: dict[str, Variable] = {}
        self._values: dict[str, Mapping[str, Value]] = {}

    def keep(self, vertex: str, outputs: Mapping[str, Value]) -> None:
        """Hold a vertex's outputs for those that it feeds."""
        self._values[vertex] = outputs

    async def of(
        self, vertex: str, component: Component
    ) -> tuple[dict[str, Value], dict[str, list[Feed]]]:
        """Return every field of a vertex with its value, and what fed it."""
        fields, feeds = self._arrived(vertex)
        own = self._script.fields(vertex, wired=tuple(fields))
        named = variables_in(own)
        await self._look_up(named.values())
        for name, field in own.items():
            bound = self._bound(name, field, named.get(name), component)
            fields[name] = converted(bound)
        return fields, feeds

    def _arrived(self, vertex: str) -> tuple[dict[str, Value], dict[str, list[Feed]]]:
        came: dict[str, list[Value]] = {}
        feeds: dict[str, list[Feed]] = {}
        for edge in self._script.graph.incoming[vertex]:
            built = self._values.get(edge.source, {})
            if edge.source_output in built:
                came.setdefault(edge.target_field, []).append(built[edge.source_output])
                feed = self._script.feed(edge.source)
                feeds.setdefault(edge.target_field, []).append(feed)
        template = self._script.template(vertex)
        fields = {
            name: arrived(template.get(name) or {}, values)
            for name, values in came.items()
        }
        return fields, feeds

    async def _look_up(self, names: Collection[str]) -> None:
        unknown = {name for name in names if name not in self._known}
        if not unknown:
            return
        with on_firm_ground():
            found = await self._source.named(self._script.facts.owner, unknown)
        self._known.update(found)
        self.secrets += [one.value for one in found.values() if one.credential]

    def _bound(
        self,
        name: str,
        field: Mapping[str, Json],
        variable: str | None,
        component: Component,
    ) -> Mapping[str, Json]:
        """Return *field* with what its variable stands for, if it names one."""
        if variable is None:
            return field
        value = self._known.get(variable)
        if value is None:
            # A tweak may put a key itself where a variable's name would stand.
            if variable in self.secrets:
                return field
            raise VariableMissingError(variable)
        if value.credential and not _keeps_secret(component, name):
            raise CredentialExposedError
        return {**field, "value": value.value}


def _keeps_secret(component: Component, name: str) -> bool:
    """
    Tell whether a field is one for secrets, by the component's own word.

    Whoever drew the flow may have marked any field so, and have it read aloud.
    """
    field = component.schema()["template"].get(name)
    return isinstance(field, Mapping) and bool(field.get("password"))
