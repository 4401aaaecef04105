"""The components this server has, by their type names and the names of old."""

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, override

from application.ports.components import Component, Components, UnknownComponentError
from domain.kernel import Json
from infrastructure.components.chat import ChatInput, ChatOutput
from infrastructure.components.files import File
from infrastructure.components.language_model import LanguageModel
from infrastructure.components.memory import Memory
from infrastructure.components.parser import Parser
from infrastructure.components.prompts import PromptTemplate
from infrastructure.components.text import TextInput, TextOutput
from infrastructure.components.type_convert import TypeConvert
from infrastructure.components.webhook import Webhook

if TYPE_CHECKING:
    from infrastructure.components.builtin import Builtin

_ALIKE = 0.6
_STUB = re.compile(r"# builtin: (.+)\s*")
_NAME = re.compile(r"^ {4}name(?:: str)? *= *[\"'](.+?)[\"']", re.MULTILINE)
_CLASS = re.compile(r"^class (\w+)\(", re.MULTILINE)


class BuiltinComponents(Components):
    """
    What came with the server.

    ``base_urls`` says by provider where the operator wants models asked (``OpenAI``:
    any server that speaks its protocol). ``allowed_hosts`` are private hosts that a
    flow may name.
    """

    def __init__(
        self,
        *,
        base_urls: Mapping[str, str] | None = None,
        allowed_hosts: Sequence[str] = (),
    ) -> None:
        builtins: list[Builtin] = [
            ChatInput(),
            ChatOutput(),
            TextInput(),
            TextOutput(),
            LanguageModel(base_urls=base_urls, allowed_hosts=allowed_hosts),
            PromptTemplate(),
            Parser(),
            TypeConvert(),
            Memory(),
            File(),
            Webhook(),
        ]
        self._by_type = {builtin.type: builtin for builtin in builtins}
        self._by_name: dict[str, Builtin] = {
            name: builtin
            for builtin in builtins
            for name in (*builtin.aliases, builtin.type)
        }
        self._catalogue: dict[str, dict[str, Json]] = {}
        for builtin in builtins:
            self._catalogue.setdefault(builtin.category, {})[builtin.type] = (
                builtin.schema()
            )

    @override
    def of(self, type_name: str) -> Component:
        """Return the component of a type or alias; else `UnknownComponentError`."""
        found = self._by_name.get(type_name)
        if found is None:
            raise UnknownComponentError(
                f"“{type_name}”. Replace it by one of {', '.join(self._by_type)}, or "
                "run the flow on a server that has it"
            )
        return found

    @override
    def catalogue(self) -> Mapping[str, Mapping[str, Json]]:
        """Return ``{category: {type: component object}}``, as ``GET /all`` serves."""
        return deepcopy(self._catalogue)

    def recognised(self, code: str, template: Mapping[str, Json]) -> Component:
        """
        Return the component an editor means by its source or, failing that, fields.

        The source is read for its name and never executed. Raise
        `UnknownComponentError` where nothing fits.
        """
        named = [_STUB.fullmatch(code), _NAME.search(code), _CLASS.search(code)]
        for match in named:
            if match is not None:
                name = match[1].strip().removesuffix("Component")
                for candidate in (match[1].strip(), name):
                    if candidate in self._by_name:
                        return self._by_name[candidate]
        if not code.strip():
            closest = max(
                self._by_type.values(), key=lambda each: _likeness(each, template)
            )
            if _likeness(closest, template) > _ALIKE:
                return closest
        raise UnknownComponentError(
            "The source names none of this server's components, and source that comes "
            "with a flow is never executed"
        )


def _likeness(builtin: "Builtin", template: Mapping[str, Json]) -> float:
    """How much of both field sets is shared; a prompt's variables do not count."""
    if any(
        isinstance(f, dict) and f.get("type") == "prompt" for f in template.values()
    ):
        return float(builtin.type == PromptTemplate.type)
    known = set(builtin.schema()["field_order"])
    given = {name for name, field in template.items() if isinstance(field, dict)}
    given -= {"code", "tools_metadata"}
    return len(known & given) / len(known | given)
