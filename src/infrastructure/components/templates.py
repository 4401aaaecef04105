"""Text with ``{variables}``: names only, so no template can reach into an object."""

import re
from collections.abc import Mapping

import msgspec

from domain.kernel import DomainError

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_NAME = re.compile(r"[^\W\d][\w-]*")
_RESERVED = frozenset({"code", "template", "tool_placeholder", "_type"})
_SPECIAL = re.compile(r"[.\[\]!:]")
_SHOWN = 40
_MOST = 500


class InvalidTemplateError(DomainError):
    """The template cannot be read."""


class Variable(msgspec.Struct, frozen=True):
    name: str


def pieces(template: str) -> list[str | Variable]:
    """*template* cut into text and variables; ``{{`` and ``}}`` are plain braces."""
    found: list[str | Variable] = []
    end = 0
    for match in _PIECE.finditer(template):
        found.append(template[end : match.start()])
        end = match.end()
        if match[0] in ("{{", "}}"):
            found.append(match[0][0])
        elif match[1] is None:
            raise InvalidTemplateError(
                f"A lone “{match[0]}” stands at character {match.start() + 1}; "
                f"write “{match[0] * 2}” for a plain brace"
            )
        else:
            found.append(Variable(_plain(match[1])))
    found.append(template[end:])
    return [piece for piece in found if piece]


def _plain(name: str) -> str:
    """Refuse ``{0.__class__}``, ``{a[0]}``, ``{a!r}`` and ``{a:>9}``."""
    stripped = name.strip()
    if not stripped or stripped.isdigit() or _SPECIAL.search(stripped):
        raise InvalidTemplateError(
            f"“{{{name[:_SHOWN]}}}” is not a variable: between braces stands a name "
            "and nothing else; write “{{” and “}}” for plain braces"
        )
    return stripped


def variables(template: str) -> list[str]:
    """The variables' names, each once, in order."""
    names = (piece.name for piece in pieces(template) if isinstance(piece, Variable))
    return list(dict.fromkeys(names))


def checked_variables(template: str) -> list[str]:
    """The variables of a prompt, each fit to become a field of its own."""
    found = variables(template)
    if len(found) > _MOST:
        raise InvalidTemplateError(
            f"It has {len(found)} variables, and each is an inlet; at most {_MOST}"
        )
    for name in found:
        if not _NAME.fullmatch(name):
            raise InvalidTemplateError(
                f"“{name[:_SHOWN]}” cannot name a variable: use letters, digits, "
                "“_” and “-”, and begin with a letter"
            )
        if name in _RESERVED:
            raise InvalidTemplateError(
                f"“{name}” is a word of the component itself; choose another name"
            )
    return found


def filled(template: str, values: Mapping[str, str]) -> str:
    """*template* with its variables replaced; what is put in is not read again."""
    return "".join(
        values.get(piece.name, "") if isinstance(piece, Variable) else piece
        for piece in pieces(template)
    )
