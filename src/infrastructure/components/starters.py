"""The flows a newcomer finds: they run at once, and without any key."""

from application.ports.components import Components
from domain.kernel import Json
from infrastructure.components.drawing import Drawing
from infrastructure.components.registry import BuiltinComponents


def starter_flows(components: Components | None = None) -> list[dict[str, Json]]:
    """Return the starter flows, each with what a flow is created from."""
    known = components or BuiltinComponents()
    return [_echo(known), _memory(known), _model(known)]


def _echo(components: Components) -> dict[str, Json]:
    drawing = Drawing(components)
    drawing.note(
        "note-words",
        "## No model at all\n\nWhat you write goes into a template and comes back. "
        "Every `{name}` in the template is an inlet: add one and watch it appear.\n\n"
        "Open the Playground and write something.",
        (0, -300),
    )
    heard = drawing.place("ChatInput-words", "ChatInput", (0, 0))
    prompt = drawing.place(
        "Prompt Template-words",
        "Prompt Template",
        (420, 0),
        template="You wrote: “{message}”\n\nThis flow has no model; it only answers "
        "with a template.",
    )
    answer = drawing.place("ChatOutput-words", "ChatOutput", (840, 0))
    drawing.connect(heard, "message", prompt, "message")
    drawing.connect(prompt, "prompt", answer, "input_value")
    return _flow(
        "Words in a Template",
        "The smallest flow: what you write, put into a template. Needs no model.",
        icon="MessageSquare",
        tags=["chatbots"],
        gradient="0",
        drawing=drawing,
    )


def _memory(components: Components) -> dict[str, Json]:
    drawing = Drawing(components)
    drawing.note(
        "note-recall",
        "## It remembers\n\nMessage History reads back what was said in this session; "
        "the template puts it before the model.\n\nThe provider **Demo** needs no key "
        "and only shows what reached it. Choose another in Language Model for real "
        "answers.",
        (0, -300),
    )
    heard = drawing.place("ChatInput-recall", "ChatInput", (0, 300))
    history = drawing.place("Memory-recall", "Memory", (0, 0), n_messages=20)
    prompt = drawing.place(
        "Prompt Template-recall",
        "Prompt Template",
        (420, 0),
        template="You are a friendly assistant. This was said so far:\n\n{history}",
    )
    model = _demo_model(drawing, "LanguageModelComponent-recall", (840, 120))
    answer = drawing.place("ChatOutput-recall", "ChatOutput", (1260, 120))
    drawing.connect(history, "messages_text", prompt, "history")
    drawing.connect(prompt, "prompt", model, "system_message")
    drawing.connect(heard, "message", model, "input_value")
    drawing.connect(model, "text_output", answer, "input_value")
    return _flow(
        "Chat with a Memory",
        "A chat that knows what was said before in its session.",
        icon="MessagesSquare",
        tags=["chatbots", "assistants"],
        gradient="1",
        drawing=drawing,
    )


def _model(components: Components) -> dict[str, Json]:
    drawing = Drawing(components)
    drawing.note(
        "note-model",
        "## A model\n\nInstructions and your message go to a language model, and its "
        "answer streams into the chat.\n\nThe provider **Demo** needs no key. For real "
        "answers choose another in Language Model, and save its key as a variable.",
        (0, -300),
    )
    heard = drawing.place("ChatInput-model", "ChatInput", (0, 300))
    instructions = drawing.place(
        "Prompt Template-model",
        "Prompt Template",
        (0, 0),
        template="Answer briefly, in the language you are spoken to.",
    )
    model = _demo_model(drawing, "LanguageModelComponent-model", (420, 120))
    answer = drawing.place("ChatOutput-model", "ChatOutput", (840, 120))
    drawing.connect(instructions, "prompt", model, "system_message")
    drawing.connect(heard, "message", model, "input_value")
    drawing.connect(model, "text_output", answer, "input_value")
    return _flow(
        "Basic Prompting",
        "A message, some instructions, and a language model that answers.",
        icon="BotMessageSquare",
        tags=["chatbots", "assistants", "q-a"],
        gradient="2",
        drawing=drawing,
    )


def _demo_model(drawing: Drawing, vertex: str, at: tuple[int, int]) -> str:
    return drawing.place(
        vertex, "LanguageModelComponent", at, provider="Demo", stream=True
    )


def _flow(
    name: str,
    description: str,
    *,
    icon: str,
    tags: list[str],
    gradient: str,
    drawing: Drawing,
) -> dict[str, Json]:
    return {
        "name": name,
        "description": description,
        "icon": icon,
        "tags": tags,
        "gradient": gradient,
        "data": drawing.document(),
    }
