"""A playground for a router in a notebook."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from synaptoroute_core import AdaptiveRouter, Example

if TYPE_CHECKING:
    from synaptoroute_integrations.notebook.panels import Playground
    from synaptoroute_integrations.remote import RemoteRouter


def playground(router: AdaptiveRouter | RemoteRouter, examples: Iterable[Example] = ()) -> Playground:
    """A widget to try a router out and to improve it while it is being watched.

    Type a message and press Enter to see the decision, and why it was made. Add the message to a route, or make a
    route of it; the decision follows at once, and the change can be taken back. A slider tells which texts another
    threshold would decide otherwise. What is changed is changed in the router itself, and kept in its store.

    Nothing needs to be awaited, and no event loop is started: it works in a notebook's running one as it is.

    Args:
        router: The router, here or elsewhere. It stays open when the widget is closed.
        examples: Labelled texts on which to see what a threshold would change; none = the messages typed so far,
            whose right answers are not known.

    Returns:
        A widget, which shows itself as the last value of a cell. Its ``close()`` takes it off the page.

    Raises:
        ImportError: ipywidgets is not installed.
        ConfigurationError: It is no router that can be changed, or the examples are no pairs.
        RouteNotFoundError: A label is no route's name.
        InvalidTextError: A text is not usable.
        Others: As ``route`` of the router raises.
    """
    from synaptoroute_integrations.notebook.panels import Playground
    from synaptoroute_integrations.notebook.trying import Session

    return Playground(Session(router, examples))
