"""Writes the page of the Python client, from its code and docstrings."""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Sequence
from types import ModuleType

import langbuilder
from langbuilder import (
    belongings,
    client,
    errors,
    events,
    files,
    flows,
    listing,
    messages,
    models,
    projects,
    results,
    runs,
    sending,
    streams,
    wire,
)

WIDTH = 88
INTRODUCED = """\
`from langbuilder import Client, AsyncClient`: what
[the how-to](../how-to/use-the-python-client.md) shows, in full. Methods are told as
`Client` has them; with `AsyncClient` each is awaited, and what is iterated over is
iterated over with `async for`. An `Id` is a `UUID`, or one as text; where something is
asked for, it may be given itself or its id. `Unset` is what a field is if not given.
"""

RESOURCES: Sequence[tuple[str, ModuleType, str]] = (
    ("flows", flows, "Flows"),
    ("projects", projects, "Projects"),
    ("runs", runs, "Runs"),
    ("messages", messages, "Messages"),
    ("sessions", messages, "Sessions"),
    ("files", files, "Files"),
    ("variables", belongings, "Variables"),
    ("api_keys", belongings, "ApiKeys"),
    ("users", belongings, "Users"),
)
"""Where on a client it is, and what it is."""


def python_client() -> str:
    """Return the page."""
    lines = [f"# Python client\n\n{INTRODUCED}"]
    lines += _section("Clients", client, ("Client", "AsyncClient"), code=True)
    lines += ["### `client.request`\n", *_methods(client, "_Everything", "client")]
    for name, module, kind in RESOURCES:
        lines += [f"## `client.{name}`\n", f"{_doc(getattr(module, kind))}\n"]
        lines += _methods(module, kind, f"client.{name}")
    lines.append("## Streams and lists\n")
    lines += [f"### `RunStream`\n\n{_doc(streams.RunStream)}\n"]
    lines += _methods(streams, "RunStream", "stream")
    lines += [f"### `Listing`\n\n{_doc(listing.Listing)}\n"]
    lines += _structs("Results", results, ("Result", "Output", "Said"))
    lines.append("## Events of a run\n\nA stream gives any of them: a `StreamEvent`.\n")
    lines += _structs("", events, _public(events))
    lines += _structs("What the server tells of", models, _public(models))
    lines += _structs("Answers and retries", wire, ("Answer",))
    lines += _structs("", sending, ("Retries",))
    lines += _errors()
    return "\n".join(lines).rstrip() + "\n"


def _public(module: ModuleType) -> list[str]:
    names = [name for name in vars(module) if name in langbuilder.__all__]
    kinds = [name for name in names if inspect.isclass(getattr(module, name))]
    return [
        name for name in kinds if getattr(module, name).__module__ == module.__name__
    ]


def _section(
    title: str, module: ModuleType, kinds: Sequence[str], *, code: bool
) -> Iterator[str]:
    yield f"## {title}\n"
    for kind in kinds:
        node = _class(module, kind)
        yield f"### `{kind}`\n"
        if code:
            [init] = [one for one in _functions(node) if one.name == "__init__"]
            yield _signature(kind, init, returns=False)
        yield f"{_doc(getattr(module, kind))}\n"


def _methods(module: ModuleType, kind: str, path: str) -> Iterator[str]:
    for function in _functions(_class(module, kind)):
        if function.name.startswith("_"):
            continue
        properties = {ast.unparse(one) for one in function.decorator_list}
        if "property" in properties:
            yield f"`{path}.{function.name}`\n"
        else:
            yield _signature(f"{path}.{function.name}", function)
        yield f"{_prose(ast.get_docstring(function) or '')}\n"


def _structs(title: str, module: ModuleType, kinds: Sequence[str]) -> Iterator[str]:
    if title:
        yield f"## {title}\n"
    for kind in kinds:
        node = _class(module, kind)
        bases = [ast.unparse(base) for base in node.bases]
        of = [base for base in bases if base in langbuilder.__all__]
        yield f"### `{kind}`" + (f" (a `{of[0]}`)\n" if of else "\n")
        yield f"{_doc(getattr(module, kind))}\n"
        found = [*_fields(node), *_properties(node)]
        if found:
            yield from ("| | |", "|---|---|", *found, "")


def _fields(node: ast.ClassDef) -> Iterator[str]:
    for one in node.body:
        if isinstance(one, ast.AnnAssign):
            kind = ast.unparse(one.annotation).replace("|", "\\|")
            yield f"| `{ast.unparse(one.target)}` | `{kind}` |"


def _properties(node: ast.ClassDef) -> Iterator[str]:
    for one in _functions(node):
        if "property" in {ast.unparse(each) for each in one.decorator_list}:
            said = _prose(ast.get_docstring(one) or "").replace("|", "\\|")
            yield f"| `{one.name}` | {said} |"


def _errors() -> Iterator[str]:
    yield "## Errors\n"
    _, _, tree = inspect.cleandoc(errors.LangBuilderError.__doc__ or "").partition(
        "::\n\n"
    )
    yield f"```text\n{textwrap.dedent(tree)}\n```\n"
    for kind in _public(errors):
        error = getattr(errors, kind)
        said = _doc(error) if kind != "LangBuilderError" else _doc(error).split("\n")[0]
        hint = getattr(error, "hint", "")
        yield f"### `{kind}`\n\n{said}\n" + (f"\n*{hint}*\n" if hint else "")


def _class(module: ModuleType, kind: str) -> ast.ClassDef:
    tree = ast.parse(inspect.getsource(module))
    [found] = [
        one for one in tree.body if isinstance(one, ast.ClassDef) and one.name == kind
    ]
    return found


def _functions(node: ast.ClassDef) -> list[ast.FunctionDef]:
    return [one for one in node.body if isinstance(one, ast.FunctionDef)]


def _signature(path: str, function: ast.FunctionDef, *, returns: bool = True) -> str:
    arguments = function.args
    for some in (arguments.posonlyargs, arguments.args):
        some[:] = [one for one in some if one.arg != "self"]
    parts = ", ".join(_split(ast.unparse(arguments)))
    told = ast.unparse(function.returns) if returns and function.returns else ""
    told = _unwrapped(told)
    line = f"{path}({parts})" + (f" -> {told}" if told else "")
    if len(line) > WIDTH:
        end = f") -> {told}" if told else ")"
        each = "".join(f"    {one},\n" for one in _split(parts))
        line = f"{path}(\n{each}{end}"
    return f"```text\n{line}\n```\n"


def _unwrapped(kind: str) -> str:
    """Return what people get: the value of steps, items without their driver."""
    for name in ("Steps", "Listing", "RunStream", "Words"):
        kind = kind.replace(f"{name}[D, ", f"{name}[").replace(f"'{name}[D]'", name)
        kind = kind.replace(f"{name}[D]", name)
    if kind.startswith("Steps["):
        kind = kind.removeprefix("Steps[").removesuffix("]")
    return kind


def _split(parts: str) -> list[str]:
    """Return the parameters one by one: commas within brackets part nothing."""
    found, depth = [""], 0
    for letter in parts:
        depth += (letter in "[({") - (letter in "])}")
        if letter == "," and depth == 0:
            found.append("")
        else:
            found[-1] += letter
    return [one.strip().replace("=", " = ", 1) for one in found]


def _doc(thing: type) -> str:
    return _prose(inspect.cleandoc(thing.__doc__ or ""))


def _prose(text: str) -> str:
    """Return a docstring as Markdown: code blocks fenced, names in its quotes."""
    before, sign, code = text.partition("::\n\n")
    before = before.replace("``", "`").strip()
    if not sign:
        return before
    block, _, after = code.partition("\n\n")
    while after.startswith("    "):
        more, _, after = after.partition("\n\n")
        block += f"\n\n{more}"
    fenced = f"```text\n{textwrap.dedent(block)}\n```"
    return "\n\n".join(one for one in (before, fenced, _prose(after)) if one)
