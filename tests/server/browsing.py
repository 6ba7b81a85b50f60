"""The playground in a real browser: how tests open it, find their way on it, and hear of its troubles."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 30_000
WATCH_POLICY = """
  window.violations = [];
  document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
"""


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A browser. Where there is none, tests are skipped, and fail in CI, which must have one.

    Playwright's blocking interface keeps an event loop running in this thread: a test that uses it is a plain
    function, and the browser is closed before the next module's tests.
    """
    missing = None if CHROMIUM else "there is no Chromium"
    try:
        from playwright.sync_api import expect, sync_playwright
    except ModuleNotFoundError:
        missing = "the package playwright is not installed"
    if missing is not None:
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


class Playground:
    """The page of one service in one tab.

    Attributes:
        page: Playwright's page.
        console: Errors in the browser's console, and uncaught ones.
        requested: Addresses that the page asked for.
    """

    def __init__(self, browser: Any, url: str, **context: Any) -> None:
        self.url = url
        self.console: list[str] = []
        self.requested: list[str] = []
        self.context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **context})
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.add_init_script(WATCH_POLICY)
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.console.append(str(error)))
        self.page.on("request", lambda request: self.requested.append(request.url))
        self.page.goto(url)

    def _on_console(self, message: Any) -> None:
        if message.type == "error":
            self.console.append(message.text)

    @property
    def query(self) -> Any:
        return self.page.get_by_label("Where does this text go?")

    @property
    def decision(self) -> Any:
        return self.page.locator("#decision")

    @property
    def candidates(self) -> Any:
        return self.page.get_by_role("region", name="Decision").locator("#candidates > li")

    @property
    def notice(self) -> Any:
        return self.page.locator("#notice")

    @property
    def alert(self) -> Any:
        return self.page.get_by_role("alert")

    def button(self, name: str) -> Any:
        return self.page.get_by_role("button", name=name, exact=True)

    def route(self, name: str) -> Any:
        """A route in the list."""
        return self.page.locator(f'#routes details[data-route="{name}"]')

    def add_to(self, name: str) -> None:
        self.page.get_by_label("Add this text to").select_option(name)
        self.button("Add").click()

    def foreign_requests(self) -> list[str]:
        """What went to another origin; addresses that hold their own data go nowhere."""
        own = urlsplit(self.url).netloc
        return [url for url in self.requested if not url.startswith("data:") and urlsplit(url).netloc != own]

    def violations(self) -> list[str]:
        """What the page tried that its policy forbids."""
        found: list[str] = self.page.evaluate("window.violations")
        return found


@contextlib.contextmanager
def playground(browser: Any, url: str, **context: Any) -> Iterator[Playground]:
    """The page of the service at ``url`` in a fresh tab, with Playwright's options of a context."""
    opened = Playground(browser, url, **context)
    try:
        yield opened
    finally:
        opened.context.close()
