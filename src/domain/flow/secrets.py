"""Secrets inside a flow's document: held by reference, shown as a placeholder."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple
from uuid import UUID

import msgspec

from domain.flow.shape import InvalidDocumentError, is_drawn
from domain.kernel import DomainError, Json

PLACEHOLDER = "********"
"""What clients see of a secret; sent back, it means that nothing changed."""

_REF = "$secret"
_JSON = "json"  # the secret is JSON and not a bare text
_MAX_GROUPS = 40
_NUMBERS = ("int", "float")
_SECRET_INPUTS = ("SecretStrInput", "MultilineSecretInput")

type Field = dict[str, Json]
type Place = tuple[str, ...]
"""The ids of the groups and the vertex that a field lies in, and its name."""


class UnwelcomeTweakError(DomainError):
    """A tweak may not be set that way."""


class Hidden(NamedTuple):
    """
    A document, or tweaks, whose secrets are references.

    ``sealed`` are the new references with their plain texts, ``destroyed`` those of
    the previous document that are no more.
    """

    document: Json
    sealed: list[tuple[UUID, str]]
    destroyed: list[UUID]


def hide(document: Json, previous: Json, seal: Callable[[str], UUID]) -> Hidden:
    """
    Put references in the place of literal secrets; *seal* names each new one.

    A placeholder keeps what *previous* had in the same field, or else is emptied.
    A reference that *previous* did not have is refused, for only this server makes
    them: nobody may name another's.
    """
    known = {place: field["value"] for place, field in _secrets(previous)}
    by_vertex = {place[-2:]: value for place, value in known.items()}
    allowed = {ref for value in known.values() if (ref := _ref_of(value))}
    sealed: list[tuple[UUID, str]] = []

    def hidden(field: Field, place: Place) -> Field:
        value = field.get("value")
        if ref := _ref_of(value):
            if _is_secret(field) and ref in allowed:
                return field
            raise InvalidDocumentError(f"{'.'.join(place)} names a secret by reference")
        if not _is_secret(field) or _is_empty(value) or _is_counted(field):
            return field
        if field.get("load_from_db"):
            return field | {"value": ""} if value == PLACEHOLDER else field
        if value == PLACEHOLDER:
            kept = known.get(place, by_vertex.get(place[-2:], ""))
            return field | {"value": kept}
        return field | {"value": _sealed(value, seal, sealed)}

    result = _rewritten(document, hidden)
    left = refs(result)
    return Hidden(result, sealed, [ref for ref in refs(previous) if ref not in left])


def show(document: Json) -> Json:
    """Return the document as clients see it: placeholders for secrets."""
    return _rewritten(document, lambda field, _: _replaced(field, PLACEHOLDER))


def blank(document: Json) -> Json:
    """Return the document as a file holds it: no secrets, but variables' names."""
    return _rewritten(document, lambda field, _: _replaced(field, ""))


def reveal(document: Json, secrets: Mapping[UUID, str]) -> Json:
    """
    Put the plain texts back; a destroyed secret reads as an empty text.

    Do so before tweaks are applied, so that no tweak can turn a field of its own
    making into a reference.
    """
    return _rewritten(
        document,
        lambda field, _: _replaced(field, _plain(field.get("value"), secrets)),
    )


def refs(document: Json) -> tuple[UUID, ...]:
    """Return the references that the document holds, each once, in order."""
    found = (_ref_of(field["value"]) for _, field in _secrets(document))
    return tuple(dict.fromkeys(ref for ref in found if ref))


def hide_tweaks(
    tweaks: Mapping[str, Json], document: Json, seal: Callable[[str], UUID]
) -> Hidden:
    """
    Put references in the place of what *tweaks* set password fields to.

    A placeholder is dropped, for it changes nothing; a reference is refused, for
    only this server makes them.
    """
    names = {place[-1] for place, _ in _fields(document)}
    sealed: list[tuple[UUID, str]] = []

    def hidden(field: str, value: Json) -> Json:
        if isinstance(value, dict):
            if _REF in value or _ref_of(value.get("value")):
                raise UnwelcomeTweakError(f"{field} names a secret by reference")
            if field in names and not _is_empty(value.get("value")):
                return value | {"value": _sealed(value["value"], seal, sealed)}
            return value
        if field not in names or _is_empty(value):
            return value
        return _sealed(value, seal, sealed)

    def changing(changes: Mapping[str, Json]) -> dict[str, Json]:
        return {
            field: hidden(field, value)
            for field, value in changes.items()
            if not (field in names and _is_placeholder(value))
        }

    result: dict[str, Json] = {}
    for key, value in tweaks.items():
        if isinstance(value, dict) and _REF not in value:
            result[key] = changing(value)
        else:
            result |= changing({key: value})
    return Hidden(result, sealed, [])


def reveal_tweaks(
    tweaks: Mapping[str, Json], secrets: Mapping[UUID, str]
) -> dict[str, Json]:
    """Put the plain texts back into tweaks that `hide_tweaks` returned."""
    return {
        key: _plain(value, secrets)
        if not isinstance(value, dict) or _ref_of(value)
        else {field: _revealed(change, secrets) for field, change in value.items()}
        for key, value in tweaks.items()
    }


def without_refs(value: Json) -> Json:
    """Return any part of a document with placeholders for its references."""
    if _ref_of(value):
        return PLACEHOLDER
    if isinstance(value, dict):
        return {key: without_refs(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_refs(inner) for inner in value]
    return value


def _revealed(change: Json, secrets: Mapping[UUID, str]) -> Json:
    if isinstance(change, dict) and not _ref_of(change) and "value" in change:
        return change | {"value": _plain(change["value"], secrets)}
    return _plain(change, secrets)


def _is_placeholder(value: Json) -> bool:
    return value == PLACEHOLDER or (
        isinstance(value, dict) and value.get("value") == PLACEHOLDER
    )


def _is_empty(value: Json) -> bool:
    return value is None or isinstance(value, bool) or value in ("", [], {})


def _is_counted(field: Field) -> bool:
    """Tell whether it holds a number: old flows call ``max_tokens`` a password."""
    return field.get("type") in _NUMBERS and isinstance(field["value"], int | float)


def _ref_of(value: Json) -> UUID | None:
    if not isinstance(value, dict) or not isinstance(value.get(_REF), str):
        return None
    try:
        return UUID(value[_REF])
    except ValueError:
        return None


def _sealed(
    value: Json, seal: Callable[[str], UUID], sealed: list[tuple[UUID, str]]
) -> dict[str, Json]:
    plain = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    ref = seal(plain)
    sealed.append((ref, plain))
    return {_REF: str(ref)} | ({} if isinstance(value, str) else {_JSON: True})


def _plain(value: Json, secrets: Mapping[UUID, str]) -> Json:
    ref = _ref_of(value)
    if ref is None:
        return value
    plain = secrets.get(ref, "")
    return msgspec.json.decode(plain) if plain and value.get(_JSON) else plain


def _replaced(field: Field, value: Json) -> Field:
    if _is_secret(field) and _ref_of(field.get("value")):
        return field | {"value": value}
    return field


def _is_secret(field: Field) -> bool:
    return bool(field.get("password") or field.get("_input_type") in _SECRET_INPUTS)


def _secrets(document: Json) -> Iterator[tuple[Place, Field]]:
    return ((at, field) for at, field in _fields(document) if _ref_of(field["value"]))


def _fields(document: Json) -> list[tuple[Place, Field]]:
    found: list[tuple[Place, Field]] = []

    def note(field: Field, place: Place) -> Field:
        if _is_secret(field):
            found.append((place, {"value": None} | field))
        return field

    _rewritten(document, note)
    return found


def _rewritten(
    document: Json, change: Callable[[Field, Place], Field], within: Place = ()
) -> Json:
    if not is_drawn(document) or not isinstance(document["nodes"], list):
        return document
    if len(within) > _MAX_GROUPS:
        raise InvalidDocumentError(f"more than {_MAX_GROUPS} groups within each other")
    return document | {
        "nodes": [_rewritten_node(node, change, within) for node in document["nodes"]]
    }


def _rewritten_node(
    node: Json, change: Callable[[Field, Place], Field], within: Place
) -> Json:
    data = node.get("data") if isinstance(node, dict) else None
    component = data.get("node") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(component, dict):
        return node
    place = (*within, str(node.get("id")))
    changed = dict(component)
    template = component.get("template")
    if isinstance(template, dict):
        changed["template"] = {
            name: change(field, (*place, name)) if isinstance(field, dict) else field
            for name, field in template.items()
        }
    group = component.get("flow")
    if isinstance(group, dict) and "data" in group:
        changed["flow"] = group | {"data": _rewritten(group["data"], change, place)}
    return node | {"data": data | {"node": changed}}
