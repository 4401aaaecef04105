"""What ``POST /run`` answers with: the outputs that the request asked for."""

from collections.abc import Mapping

import msgspec

from application.execution.outcome import answer
from application.execution.script import Script
from domain.kernel import Json
from domain.run.asked import Asked
from domain.run.graph import VertexInfo
from domain.run.values import Value


class Answer(msgspec.Struct, frozen=True):
    """What a vertex leaves for the answer: its whole content, and its values."""

    content: dict[str, Json]
    outputs: Mapping[str, Value]


def collected(script: Script, answers: Mapping[str, Answer]) -> dict[str, Json]:
    """Return the answer of an API run, from what its vertices left."""
    asked = script.asked
    built = [one for one in script.graph.vertices.values() if one.id in answers]
    chosen = [one for one in built if _wanted(one, asked)]
    if not chosen:
        chosen = [one for one in built if one.is_output]
    given = asked.input_value
    return {
        "session_id": script.facts.session,
        "outputs": [
            {
                "inputs": {} if given is None else {"input_value": given},
                "outputs": [
                    answer(
                        one.id,
                        one.display_name,
                        answers[one.id].content,
                        answers[one.id].outputs,
                    )
                    for one in chosen
                ],
            }
        ],
    }


def _wanted(vertex: VertexInfo, asked: Asked) -> bool:
    if asked.outputs:
        return vertex.id in asked.outputs or vertex.display_name in asked.outputs
    if asked.output_component:
        return asked.output_component in (vertex.id, vertex.display_name)
    if asked.output_type == "debug":
        return True
    named = asked.output_type == "any" or asked.output_type in vertex.id.lower()
    return vertex.is_output and named
