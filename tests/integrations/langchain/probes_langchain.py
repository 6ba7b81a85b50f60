"""What several LangChain tests watch the runnables with."""

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers.base import BaseTracer

from synaptoroute_integrations.langchain import ROUTE_EVENT

ORDER = "where is my order now"
CANCEL = "please cancel my order"
WEATHER = "what is the weather like in Paris"
BLANK = "  "
TEXTS = [ORDER, CANCEL, WEATHER]
ROUTES = ["order_status", "cancel_order", None]


class Tracer(BaseTracer):
    """Keeps every finished run, children too."""

    def __init__(self):
        super().__init__()
        self.runs = []

    def _persist_run(self, run):
        self.runs.append(run)


class Events(BaseCallbackHandler):
    """Keeps the custom events."""

    def __init__(self):
        self.data = []
        self.run_ids = []

    def on_custom_event(self, name, data, *, run_id, **kwargs):
        assert name == ROUTE_EVENT
        self.data.append(data)
        self.run_ids.append(run_id)


class CountingBatches:
    """Counts calls of the engine's batch methods and their sizes."""

    def __init__(self, engine, monkeypatch):
        self.sizes = []
        each, aeach = engine.route_each, engine.aroute_each

        def route_each(texts, **arguments):
            self.sizes.append(len(texts))
            return each(texts, **arguments)

        async def aroute_each(texts, **arguments):
            self.sizes.append(len(texts))
            return await aeach(texts, **arguments)

        monkeypatch.setattr(engine, "route_each", route_each)
        monkeypatch.setattr(engine, "aroute_each", aroute_each)


def routes_of(decisions):
    return [decision.route for decision in decisions]
