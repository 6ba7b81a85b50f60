"""The dashboard and the alerts ask Prometheus for what the service really exports."""

import json
import re
from collections.abc import Iterator

import pytest
import yaml
from deployed import DEPLOY, ROOT
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from synaptoroute_core import AdaptiveRouter, HashingEncoder, Route
from synaptoroute_integrations.server import ServerSettings, create_app

DASHBOARD = json.loads((ROOT / "docs" / "grafana" / "synaptoroute.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
ALERTS = [
    rule
    for group in yaml.safe_load((DEPLOY / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
BY_PANEL = pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])

SELECTOR = re.compile(r"(?<![\w:])(synaptoroute_\w+)(?:\{([^}]*)\})?")
LABEL = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
FROM_PROMETHEUS = {"instance", "job"}


def exported(text: str) -> dict[str, set[str]]:
    """The labels of every series in Prometheus' text format, by its name."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.fixture(scope="module")
def metrics() -> Iterator[str]:
    """What the service exports after a decision, an abstention, a text that was asked before, and a refusal."""
    settings = ServerSettings(rate_limit=0.001, rate_burst=3)
    with AdaptiveRouter([Route("refund", ["money back"])], encoder=HashingEncoder()) as router:
        app = create_app(settings, router=router)
        with TestClient(app, base_url="http://localhost", client=("127.0.0.1", 40_000)) as client:
            answers = [client.post("/route", json={"text": text}) for text in ("money back", "zebra", "zebra", "more")]
            assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
            yield client.get("/metrics").text


@pytest.fixture(scope="module")
def series(metrics) -> dict[str, set[str]]:
    return exported(metrics)


def panel_queries(panel: dict) -> list[str]:
    return [target["expr"] for target in panel["targets"]]


def every_query() -> list[str]:
    queries = [query for panel in PANELS for query in panel_queries(panel)]
    queries += [each["expr"] for each in DASHBOARD["annotations"]["list"]]
    queries += [variable["definition"] for variable in DASHBOARD["templating"]["list"] if "definition" in variable]
    return queries + [rule["expr"] for rule in ALERTS]


def grouping(query: str) -> set[str]:
    """The labels that a query keeps."""
    return {label.strip() for group in re.findall(r"\bby \(([^)]*)\)", query) for label in group.split(",")}


# --- what is asked --------------------------------------------------------------------------------


@pytest.mark.parametrize("query", every_query())
def test_a_query_names_only_what_the_service_exports(query, series):
    asked = SELECTOR.findall(query)
    assert asked or "up{job=" in query
    for name, selector in asked:
        assert name in series
        assert {label for label, _ in LABEL.findall(selector)} <= series[name] | FROM_PROMETHEUS


@pytest.mark.parametrize("query", [query for query in every_query() if " by (" in query])
def test_a_query_groups_by_labels_that_its_figures_have(query, series):
    labels = {label for name, _ in SELECTOR.findall(query) for label in series[name]} | FROM_PROMETHEUS
    assert grouping(query) <= labels


@BY_PANEL
def test_the_legend_of_a_panel_names_labels_that_its_query_keeps(panel):
    for target in panel["targets"]:
        shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        assert shown <= grouping(target["expr"])


@pytest.mark.parametrize("query", every_query())
def test_a_rate_is_taken_of_counts_only(query, metrics):
    """A gauge has no rate, and a count is worth nothing without one."""
    gauges = {family.name for family in text_string_to_metric_families(metrics) if family.type == "gauge"}
    rated = set(re.findall(r"rate\((synaptoroute_\w+)", query))
    asked = {name for name, _ in SELECTOR.findall(query)}
    assert rated == asked - gauges


@pytest.mark.parametrize("path", sorted(set(re.findall(r'path="(.*?)"', " ".join(every_query())))))
def test_a_path_that_is_asked_for_is_one_that_was_counted(path, metrics):
    assert f'path="{path}"' in metrics


def test_every_figure_of_the_service_is_shown(series):
    shown = {name for query in every_query() for name, _ in SELECTOR.findall(query)}
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in series if not name.endswith("_created")}
    assert families == {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}


# --- how it is shown ------------------------------------------------------------------------------


@BY_PANEL
def test_a_panel_says_what_it_shows_and_in_which_unit(panel):
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]


def test_no_two_panels_have_one_number_or_one_title():
    for name in ("id", "title"):
        values = [panel[name] for panel in PANELS]
        assert len(set(values)) == len(values)


@BY_PANEL
def test_a_panel_asks_the_data_source_that_was_chosen_for_the_instances_that_were_chosen(panel):
    for target in panel["targets"]:
        assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert all('instance=~"$instance"' in selector for _, selector in SELECTOR.findall(target["expr"]))


def test_the_variables_of_the_queries_are_those_of_the_dashboard():
    defined = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD)))
    assert {name for name in used if not name.startswith("__")} == defined == {"datasource", "instance"}


def test_panels_do_not_lie_on_each_other():
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken
        taken |= cells


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_waits_before_it_calls_and_says_what_is_wrong(rule):
    assert rule["for"]
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert ("{{ $labels.instance }}" in rule["annotations"]["summary"]) is not rule["expr"].startswith("absent(")
