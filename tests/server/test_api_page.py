"""The API page in a real browser: every operation is there and can be tried, with nothing from elsewhere."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from browsing import Playground, playground

from synaptoroute_core import HashingEncoder, Route

FEW = (Route("refund", ["money back", "repay me"]), Route("cancel", ["stop it", "call it off"]))


@pytest.fixture
def visit(browser) -> Iterator[Callable[..., Playground]]:
    """Opens the API page of a service."""
    with contextlib.ExitStack() as stack:
        yield lambda url: stack.enter_context(playground(browser, f"{url}/docs"))


def execute(opened: Playground, summary: str) -> Any:
    """Try an operation with its example; the status of the answer."""
    operation = opened.page.locator(".opblock", has_text=summary)
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    return operation.locator(".live-responses-table .response-col_status").last


def test_every_operation_is_shown_by_its_summary(serve, visit, expect):
    served = serve(routes=FEW, encoder=HashingEncoder())
    opened = visit(served.url)
    paths = served.client.get("/openapi.json").json()["paths"]
    summaries = [operation["summary"] for methods in paths.values() for operation in methods.values()]
    expect(opened.page.locator(".opblock-summary-description")).to_have_text(summaries)
    expect(opened.page.locator(".errors-wrapper")).to_have_count(0)


def test_an_operation_is_tried_without_console_errors_violations_or_foreign_requests(serve, visit, expect):
    opened = visit(serve(routes=FEW, encoder=HashingEncoder()).url)
    expect(execute(opened, "Choose a route for a text, or abstain")).to_contain_text("200")
    for other in opened.page.locator(".opblock-summary-control").all()[1:]:
        other.click()
    opened.page.wait_for_load_state("networkidle")
    assert opened.console == []
    assert opened.violations() == []
    assert opened.foreign_requests() == []


def test_a_key_can_be_given(serve, visit, expect, keys):
    opened = visit(serve(routes=FEW, encoder=HashingEncoder(), keys=keys.setting).url)
    opened.button("Authorize").click()
    opened.page.locator(".auth-container input").fill(keys.route)
    opened.page.get_by_role("button", name="Apply credentials").click()
    opened.page.get_by_role("button", name="Close").last.click()
    expect(execute(opened, "Figures for people")).to_contain_text("200")
    expect(execute(opened, "Recent abstentions")).to_contain_text("403")
    assert not any(keys.route in url for url in opened.requested)
