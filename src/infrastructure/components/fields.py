"""Builders for what the editor draws: template fields, outputs, component objects."""

from collections.abc import Mapping, Sequence
from hashlib import sha256

from domain.kernel import Json

type Field = dict[str, Json]

_ONE = {"list": False, "list_add_label": "Add More"}
_TEXT = {"trace_as_input": True, "trace_as_metadata": True, "load_from_db": False}


def _field(
    name: str, label: str, kind: str, widget: str, value: Json, **more: Json
) -> Field:
    common = {
        "required": False,
        "placeholder": "",
        "show": True,
        "name": name,
        "value": value,
        "display_name": label,
        "advanced": False,
        "dynamic": False,
        "info": "",
        "title_case": False,
    }
    return {**common, "type": kind, "_input_type": widget, **more}


def message_text(name: str, label: str, value: str = "", **more: Json) -> Field:
    """A line of text, typed in or wired from a message."""
    own = {"tool_mode": False, **_TEXT, **_ONE, "input_types": ["Message"]}
    return _field(name, label, "str", "MessageTextInput", value, **{**own, **more})


def message(name: str, label: str, **more: Json) -> Field:
    """A message, typed in or wired."""
    return message_text(name, label, **{"_input_type": "MessageInput", **more})


def multiline(name: str, label: str, value: str = "", **more: Json) -> Field:
    """Several lines of text, typed in or wired from a message."""
    own = {"multiline": True, "copy_field": False, "_input_type": "MultilineInput"}
    return message_text(name, label, value, **{**own, **more})


def line(name: str, label: str, value: str = "", **more: Json) -> Field:
    """A line of text that cannot be wired."""
    own = {"tool_mode": False, **_ONE, "trace_as_metadata": True, "load_from_db": False}
    return _field(name, label, "str", "StrInput", value, **{**own, **more})


def secret(name: str, label: str, **more: Json) -> Field:
    """A password or key, or the name of the variable that holds it."""
    own = {"load_from_db": True, "input_types": [], "password": True}
    return _field(name, label, "str", "SecretStrInput", "", **{**own, **more})


def dropdown(
    name: str, label: str, options: Sequence[str], value: str, **more: Json
) -> Field:
    """One of several words."""
    own = {
        "tool_mode": False,
        "trace_as_metadata": True,
        "options": list(options),
        "options_metadata": [],
        "combobox": False,
        "dialog_inputs": {},
        "toggle": False,
    }
    return _field(name, label, "str", "DropdownInput", value, **{**own, **more})


def tab(
    name: str, label: str, options: Sequence[str], value: str, **more: Json
) -> Field:
    """One of up to three words, side by side."""
    own = {"tool_mode": False, "trace_as_metadata": True, "options": list(options)}
    return _field(name, label, "tab", "TabInput", value, **{**own, **more})


def boolean(name: str, label: str, *, value: bool, **more: Json) -> Field:
    own = {"tool_mode": False, "trace_as_metadata": True, **_ONE}
    return _field(name, label, "bool", "BoolInput", value, **{**own, **more})


def integer(name: str, label: str, value: int, **more: Json) -> Field:
    own = {"tool_mode": False, "trace_as_metadata": True, **_ONE}
    return _field(name, label, "int", "IntInput", value, **{**own, **more})


def slider(
    name: str, label: str, value: float, *, high: float, step: float, **more: Json
) -> Field:
    """A number between zero and *high*."""
    own = {
        "tool_mode": False,
        "min_label": "",
        "max_label": "",
        "min_label_icon": "",
        "max_label_icon": "",
        "slider_buttons": False,
        "slider_buttons_options": [],
        "slider_input": False,
        "range_spec": {"step_type": "float", "min": 0.0, "max": high, "step": step},
    }
    return _field(name, label, "slider", "SliderInput", value, **{**own, **more})


def handle(name: str, label: str, accepts: Sequence[str], **more: Json) -> Field:
    """An inlet without a widget: its value comes over an edge."""
    own = {"trace_as_metadata": True, **_ONE, "input_types": list(accepts)}
    return _field(name, label, "other", "HandleInput", "", **{**own, **more})


def files(
    name: str, label: str, kinds: Sequence[str], value: Json = "", **more: Json
) -> Field:
    own = {
        "trace_as_metadata": True,
        "file_path": "",
        "fileTypes": list(kinds),
        "temp_file": True,
        **_ONE,
        "list": True,
    }
    return _field(name, label, "file", "FileInput", value, **{**own, **more})


def prompt(name: str, label: str, **more: Json) -> Field:
    """A template whose variables become fields of their own."""
    own = {"tool_mode": False, "trace_as_input": True, **_ONE}
    return _field(name, label, "prompt", "PromptInput", "", **{**own, **more})


def prompt_variable(name: str, value: Json = "") -> Field:
    """The field of one variable of a template."""
    own = {
        "field_type": "str",
        "fileTypes": [],
        "file_path": "",
        "input_types": ["Message"],
        "list": False,
        "load_from_db": False,
        "multiline": True,
    }
    field = _field(name, name, "str", "", value, **own)
    del field["_input_type"]
    return field


def tools_metadata(rows: Sequence[Mapping[str, Json]]) -> Field:
    """The table in which an agent's tools are named and described."""
    own = {"tool_mode": False, "is_list": True, **_ONE, "list": True}
    value = [dict(row) for row in rows]
    return _field(
        "tools_metadata",
        "Actions",
        "tools",
        "ToolsInput",
        value,
        real_time_refresh=True,
        **own,
    )


def stub(type_name: str) -> str:
    """What stands where LangBuilder keeps a component's source: its name, no code."""
    return f"# builtin: {type_name}"


def code(type_name: str) -> Field:
    field = _field("code", "", "code", "", stub(type_name), required=True)
    del field["display_name"], field["_input_type"]
    own = {
        "list": False,
        "multiline": True,
        "fileTypes": [],
        "file_path": "",
        "password": False,
        "advanced": True,
        "dynamic": True,
        "load_from_db": False,
    }
    return {**field, **own}


def output(name: str, label: str, kind: str, method: str, **more: Json) -> Field:
    """An outlet; *method* is LangBuilder's word for what computes it."""
    own = {
        "types": [kind],
        "selected": kind,
        "name": name,
        "display_name": label,
        "method": method,
        "value": "__UNDEFINED__",
        "cache": True,
        "allows_loop": False,
        "group_outputs": False,
        "tool_mode": True,
    }
    return {**own, **more}


def component(
    type_name: str,
    label: str,
    *,
    module: str,
    icon: str,
    description: str,
    fields: Sequence[Field],
    outputs: Sequence[Field],
    keywords: Sequence[str] = (),
    **more: Json,
) -> dict[str, Json]:
    """The component object of ``GET /all``."""
    metadata: dict[str, Json] = {
        "module": f"langbuilder.components.{module}",
        "code_hash": sha256(stub(type_name).encode()).hexdigest()[:12],
    }
    if keywords:
        metadata["keywords"] = list(keywords)
    template = {field["name"]: field for field in fields}
    own = {
        "template": {"_type": "Component", **template, "code": code(type_name)},
        "description": description,
        "icon": icon,
        "base_classes": base_classes(outputs),
        "display_name": label,
        "outputs": list(outputs),
        "field_order": list(template),
        "metadata": metadata,
    }
    return {**_plain(), **own, **more}


def _plain() -> Field:
    """What a component object says when there is nothing special to say."""
    return {
        "documentation": "",
        "minimized": False,
        "custom_fields": {},
        "output_types": [],
        "pinned": False,
        "conditional_paths": [],
        "frozen": False,
        "beta": False,
        "legacy": False,
        "edited": False,
        "tool_mode": False,
    }


def base_classes(outputs: Sequence[Field]) -> list[str]:
    """Everything the outlets can give, sorted."""
    return sorted({kind for output in outputs for kind in output["types"]})
