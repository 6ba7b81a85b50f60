"""How values show themselves in a notebook: as HTML that needs nothing else, and as text where there is no HTML.

Pure functions of values that others make. Text of users is shown, never obeyed.
"""

from synaptoroute_core.views.decisions import (
    decision_html,
    decision_line,
    decision_text,
    explanation_html,
    explanation_text,
)
from synaptoroute_core.views.fields import fields_html, fields_text
from synaptoroute_core.views.printers import Printer, write_text
from synaptoroute_core.views.reports import report_html, report_line, report_text
from synaptoroute_core.views.routers import (
    MAX_LISTED,
    RouterOverview,
    Rule,
    router_html,
    router_text,
    routes_html,
)
from synaptoroute_core.views.routes import route_html, route_line, route_text

__all__ = [
    "MAX_LISTED",
    "Printer",
    "RouterOverview",
    "Rule",
    "decision_html",
    "decision_line",
    "decision_text",
    "explanation_html",
    "explanation_text",
    "fields_html",
    "fields_text",
    "report_html",
    "report_line",
    "report_text",
    "route_html",
    "route_line",
    "route_text",
    "router_html",
    "router_text",
    "routes_html",
    "write_text",
]
