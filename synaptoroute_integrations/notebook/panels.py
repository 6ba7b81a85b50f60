"""The playground's widgets: how they are laid out, and which of them calls what. Needs ipywidgets."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape

from synaptoroute_core import Decision, SynaptoRouteError
from synaptoroute_core.errors import missing_extra
from synaptoroute_core.text import visible
from synaptoroute_core.views.decisions import measured_by
from synaptoroute_core.views.markup import SEPARATOR
from synaptoroute_core.words import counted
from synaptoroute_integrations.notebook.outlooks import outlook_html
from synaptoroute_integrations.notebook.trying import Session

try:
    from ipywidgets import HTML, Button, Dropdown, FloatSlider, HBox, Layout, Text, ToggleButton, VBox
except ModuleNotFoundError as error:
    raise missing_extra("notebook", error) from error

EVERY_ROUTE = ("every route", "")
AT = {rule: f"at a {measured_by(rule)} of" for rule in ("similarity", "head")}
STEP = 0.005
FIELD = {"flex": "0 1 22rem", "width": "auto"}
ROW = {"flex_flow": "row wrap", "align_items": "center"}
ALARM = "color: var(--jp-error-color1, #c62828); white-space: normal"
UNDER_A_HEAD = (
    "A fitted head decides. It asks the same confidence of every route, so a route's own threshold has no effect; "
    "calibrate() sets that confidence."
)

_logger = logging.getLogger(__name__)


class Playground(VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """What :func:`~synaptoroute_integrations.notebook.playground` returns.

    Args:
        session: The router being tried out.

    Raises:
        As ``route`` of the router.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._filling = False
        self._aim: tuple[str, bool, bool] | None = None  # whose threshold the slider began at
        self._heading, self._notice, self._answer, self._outlook = HTML(), HTML(), HTML(), HTML()
        self._make_asking()
        self._make_changing()
        self._make_considering()
        super().__init__(
            [
                HBox([self._heading, self._undo], layout=Layout(justify_content="space-between", **ROW)),
                HBox([self._text, self._ask, self._why], layout=Layout(**ROW)),
                self._notice,
                self._answer,
                HBox([self._route, self._add], layout=Layout(**ROW)),
                HBox([self._name, self._new], layout=Layout(**ROW)),
                HBox([self._scope, self._threshold, self._set], layout=Layout(**ROW)),
                self._outlook,
            ],
            layout=Layout(max_width="60rem", padding="2px"),
        )
        self._follow()
        self._show_outlook()

    def close(self) -> None:
        """Take it off the page, with all its parts; the router stays open."""
        for row in self.children:
            for part in getattr(row, "children", ()):
                part.close()
            row.close()
        super().close()

    # --- parts ---------------------------------------------------------------------------------

    def _make_asking(self) -> None:
        self._text = Text(
            description="Message",
            placeholder="What would a user say? Press Enter.",
            continuous_update=False,
            layout=Layout(flex="1 1 20rem", width="auto"),
        )
        self._ask = self._button("Route", self._on_ask, "Ask the router where the message goes", style="primary")
        self._why = ToggleButton(
            description="Why?",
            tooltip="Show the nearest utterances and what would turn the decision",
            layout=Layout(width="auto"),
        )
        self._text.observe(self._safely(self._on_ask), "value")
        self._why.observe(self._safely(self._show_answer), "value")

    def _make_changing(self) -> None:
        self._route = Dropdown(description="Belongs to", layout=Layout(**FIELD))
        self._add = self._button("Add as utterance", self._on_add, "Add the message to this route")
        self._name = Text(description="or to a new", placeholder="name of the new route", layout=Layout(**FIELD))
        self._new = self._button("New route", self._on_new, "Make a route with the message as its first utterance")
        self._undo = self._button("Undo", self._on_undo, "")

    def _make_considering(self) -> None:
        self._scope = Dropdown(description="Threshold", options=[EVERY_ROUTE], layout=Layout(**FIELD))
        self._threshold = FloatSlider(
            description=AT["similarity"],
            min=0.0,
            max=1.0,
            step=STEP,
            readout_format=".3f",
            style={"description_width": "initial"},
            layout=Layout(flex="1 1 14rem", width="auto"),
        )
        self._set = self._button("Set", self._on_set, "")
        self._scope.observe(self._safely(self._move_slider), "value")
        self._threshold.observe(self._safely(self._show_outlook), "value")

    def _button(self, label: str, action: Callable[[], object], tooltip: str, *, style: str = "") -> Button:
        button = Button(description=label, tooltip=tooltip, button_style=style, layout=Layout(width="auto"))
        button.on_click(self._safely(action))
        return button

    def _safely(self, action: Callable[[], object]) -> Callable[[object], None]:
        """The action as a widget calls it: an error is shown to the user, who would not see it otherwise."""

        def call(_: object) -> None:
            if self._filling:
                return
            try:
                action()
            except SynaptoRouteError as error:
                self._complain(str(error))
            except Exception as error:
                _logger.debug("the playground met an error", exc_info=True)
                self._complain(f"{type(error).__name__}: {error}")

        return call

    # --- what happens --------------------------------------------------------------------------

    def _on_ask(self) -> None:
        self._say("" if self._text.value.strip() else "Type a message first.")
        self._follow()
        self._suggest(self._show_answer())
        self._show_outlook()

    def _on_add(self) -> None:
        self._changed(self._session.add_utterance(self._route.value or "", self._text.value))

    def _on_new(self) -> None:
        self._changed(self._session.add_route(self._name.value, self._text.value))
        self._name.value = ""

    def _on_undo(self) -> None:
        self._changed(self._session.undo())

    def _on_set(self) -> None:
        self._changed(self._session.set_threshold(self._scope.value, self._threshold.value))

    def _changed(self, change: str) -> None:
        """The routes are others now: show it everywhere."""
        self._follow()
        self._show_answer()
        self._show_outlook()
        self._say(f"{change[:1].upper()}{change[1:]}.")

    def _say(self, words: str) -> None:
        self._notice.value = f'<span role="status">{escape(visible(words))}</span>'

    def _complain(self, problem: str) -> None:
        self._notice.value = f'<span role="alert" style="{ALARM}">{escape(visible(problem))}</span>'

    def _suggest(self, decision: Decision | None) -> None:
        """Have the best candidate at hand as the route to add to."""
        best = decision.candidates[0].route if decision is not None and decision.candidates else None
        if best in self._session.lineup.thresholds:
            self._route.value = best

    # --- what is shown -------------------------------------------------------------------------

    def _show_answer(self) -> Decision | None:
        """The decision on the message; None if there is none."""
        text = self._text.value
        with self._answer.hold_sync():  # an old answer goes only together with the new one, or with an error
            self._answer.value = ""
            if not text.strip():
                return None
            decision = self._session.ask(text)
            shown = self._session.explain(text) if self._why.value else decision
            self._answer.value = shown._repr_html_()
        return decision

    def _follow(self) -> None:
        """Show the routes as they are now, whoever changed them."""
        lineup, names = self._session.lineup, tuple(self._session.lineup.thresholds)
        with self._fill():
            _replace_options(self._route, tuple((name, name) for name in names))
            scopes = () if lineup.fitted else tuple((name, name) for name in names)
            _replace_options(self._scope, (EVERY_ROUTE, *scopes))
        if self._aim != (self._scope.value, lineup.fitted, bool(names)):
            self._reset_slider()
        rule = "a fitted head decides" if lineup.fitted else "similarity decides"
        counts = f"{counted(len(names), 'route')}{SEPARATOR}{counted(lineup.utterances, 'utterance')}"
        self._heading.value = f"<b>Playground</b>{SEPARATOR}{counts}{SEPARATOR}{rule}"
        change = self._session.last_change
        self._undo.disabled = change is None
        self._undo.tooltip = f"Take back: {change or 'nothing'}"
        self._add.disabled = not names

    def _move_slider(self) -> None:
        self._reset_slider()
        self._show_outlook()

    def _reset_slider(self) -> None:
        """To the threshold in force."""
        lineup = self._session.lineup
        value = lineup.threshold_of(self._scope.value or None)
        self._aim = self._scope.value, lineup.fitted, bool(lineup.thresholds)
        with self._fill():
            self._threshold.description = AT["head" if lineup.fitted else "similarity"]
            self._threshold.min = min(0.0, value)
            self._threshold.value = value

    @contextmanager
    def _fill(self) -> Iterator[None]:
        """While the code sets values, nobody has chosen them."""
        self._filling = True
        try:
            yield
        finally:
            self._filling = False

    def _show_outlook(self) -> None:
        """What the threshold on the slider would change, and whether it can be set."""
        lineup, route = self._session.lineup, self._scope.value or None
        self._set.disabled = route is None or lineup.fitted
        self._set.description = "Set" if route is None else f"Set for {route}"
        ready = "Choose a route to set its threshold" if route is None else "Set this threshold in the router"
        self._set.tooltip = UNDER_A_HEAD if lineup.fitted else ready
        outlook = self._session.consider(self._threshold.value, route)
        self._outlook.value = outlook_html(outlook, UNDER_A_HEAD if lineup.fitted else "")


def _replace_options(dropdown: Dropdown, options: tuple[tuple[str, str], ...]) -> None:
    """Give a dropdown other options, and keep what is chosen if it is still there."""
    chosen = dropdown.value
    if dropdown.options != options:
        dropdown.options = options
        if chosen in {value for _, value in options}:
            dropdown.value = chosen
