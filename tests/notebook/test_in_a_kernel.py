"""One real kernel, whose event loop runs: blocking and awaitable methods work in it as they are."""

import json

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the Jupyter packages

SETUP = """
import asyncio, sys
import pandas as pd
from llama_index.core.tools import ToolMetadata
from synaptoroute_core import AdaptiveRouter, HashingEncoder, Route
from synaptoroute_integrations.langchain import RunnableSemanticRouter
from synaptoroute_integrations.llamaindex import SemanticRouteSelector
from synaptoroute_integrations.notebook import aroute_frame, playground, route_frame

routes = [
    Route("refund", ["I want my money back", "refund my order", "how long does a refund take", "refund status"]),
    Route("parcel", ["where is my parcel", "track a parcel", "my parcel is late", "when will my parcel arrive"]),
]
examples = [("refund my late order", "refund"), ("is my parcel late", "parcel"), ("what is love", None)]
router = AdaptiveRouter(routes, encoder=HashingEncoder())
tools = [ToolMetadata(name=route.name, description=route.utterances[0]) for route in routes]
running = asyncio.get_running_loop().is_running()
"""


class Kernel:
    """Runs cells one after the other."""

    def __init__(self, client, notebook):
        self._client = client
        self._notebook = notebook

    def run(self, source):
        """What the cell puts out."""
        cell = nbformat.v4.new_code_cell(source)
        self._notebook.cells.append(cell)
        self._client.execute_cell(cell, len(self._notebook.cells) - 1)
        return cell.outputs

    def value(self, expression):
        """The value of an expression that JSON can say."""
        outputs = self.run(f"import json\nprint(json.dumps({expression}))")
        assert {output.name for output in outputs} == {"stdout"}
        return json.loads("".join(output.text for output in outputs))  # a busy kernel sends a line in pieces

    def shown(self, source):
        """The forms in which the value of the last line is shown."""
        return next(output.data for output in self.run(source) if output.output_type == "execute_result")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    notebook = nbformat.v4.new_notebook()
    where = {"metadata": {"path": tmp_path_factory.mktemp("kernel")}}
    client = NotebookClient(notebook, timeout=100, kernel_name="python3", resources=where)
    with client.setup_kernel():
        opened = Kernel(client, notebook)
        assert opened.run(SETUP) == []
        yield opened
        opened.run("router.close()")


def test_its_event_loop_is_running_all_the_time(kernel):
    assert kernel.value("running") is True


@pytest.mark.parametrize(
    ("blocking", "awaitable"),
    [
        ("router.route(TEXT).route", "(await router.aroute(TEXT)).route"),
        ("router.route_batch([TEXT])[0].route", "(await router.aroute_batch([TEXT]))[0].route"),
        ("router.explain(TEXT).decision.route", "(await router.aexplain(TEXT)).decision.route"),
        ("step.invoke(TEXT).route", "(await step.ainvoke(TEXT)).route"),
        ("step.batch([TEXT])[0].route", "(await step.abatch([TEXT]))[0].route"),
        ("names[selector.select(tools, TEXT).ind]", "names[(await selector.aselect(tools, TEXT)).ind]"),
        (
            "route_frame(router, frame, progress=True).route[0]",
            "(await aroute_frame(router, frame, progress=True)).route[0]",
        ),
    ],
)
def test_blocking_and_awaitable_methods_answer_alike(kernel, blocking, awaitable):
    kernel.run(
        "TEXT = 'where is my parcel'; step = RunnableSemanticRouter(router=router); names = list(router.routes)\n"
        "selector = SemanticRouteSelector(router); frame = pd.DataFrame({'text': [TEXT]})"
    )
    for expression in (blocking, awaitable):
        kernel.run(f"found = {expression}")
        assert kernel.value("found") == "parcel"


@pytest.mark.parametrize("call", ["r.fit(examples)", "await r.afit(examples)"])
def test_a_router_is_fitted(kernel, call):
    kernel.run(f"r = AdaptiveRouter(routes, encoder=HashingEncoder())\n{call}\nscorer = r.stats().scorer\nr.close()")
    assert kernel.value("scorer") == "head"


def test_coroutines_of_many_cells_share_a_router(kernel):
    kernel.run("waiting = asyncio.gather(*(router.aroute(f'is parcel {number} late') for number in range(200)))")
    assert kernel.value("router.route('my parcel is late').route") == "parcel"
    kernel.run("decisions = await waiting")
    assert kernel.value("{each.candidates[0].route for each in decisions} == {'parcel'}") is True


def test_a_progress_bar_leaves_nothing_behind_that_cannot_be_shown(kernel):
    outputs = kernel.run("found = route_frame(router, pd.DataFrame({'text': ['track a parcel'] * 20}), batch_size=5)")
    assert {output.output_type for output in outputs} <= {"display_data"}  # the bar; no warning, no error
    assert kernel.value("set(found.route) == {'parcel'}") is True


@pytest.mark.parametrize("value", ["router", "router.route('track a parcel')", "router.explain('track a parcel')"])
def test_values_show_themselves_as_html_and_as_text(kernel, value):
    shown = kernel.shown(value)
    assert "synaptoroute" in shown["text/html"]
    assert "parcel" in shown["text/html"]
    assert "parcel" in shown["text/plain"]


def test_the_playground_is_shown_as_a_widget_and_works(kernel):
    assert "application/vnd.jupyter.widget-view+json" in kernel.shown("desk = playground(router, examples)\ndesk")
    outputs = kernel.run(
        "desk._text.value = 'track a parcel'\n"
        "shown = desk._answer.value == router.route('track a parcel')._repr_html_()\n"
        "desk.close()"
    )
    assert outputs == []
    assert kernel.value("shown") is True


def test_the_event_loop_was_not_patched(kernel):
    """Runs last: whatever the other cells imported is imported by now."""
    assert kernel.value("[name for name in sys.modules if name.startswith('nest_asyncio')]") == []
