"""The playground for everybody: keys and scopes, the keyboard alone, both colour schemes, hostile texts."""

import pytest

from synaptoroute_core import HashingEncoder, Route

FEW = (Route("refund", ["money back", "repay me"]), Route("cancel", ["stop it", "call it off"]))
HOSTILE = (
    "<img src=x onerror=\"document.title='owned'\">",
    "</bdi><script>document.title='owned'</script>",
    "\x1b[31mred\x1b[0m",
    "refund \u202egnihton\u202c",
    "{{constructor.constructor('document.title=1')()}}",
)
AA = 4.5

CONTRASTS = """
() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (channel) => (channel <= 0.03928 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4);
  const luminance = (colour) => {
    const [red, green, blue] = channels(colour).map((channel) => light(channel / 255));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const paper = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if (channels(colour)[3] !== 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (words.nextNode()) {
    const element = words.currentNode.parentElement;
    if (!words.currentNode.data.trim() || !element.checkVisibility() || element.closest(":disabled")) continue;
    const both = [getComputedStyle(element).color, paper(element)].map((colour) => luminance(colour) + 0.05);
    found.push([Math.max(...both) / Math.min(...both), words.currentNode.data.trim()]);
  }
  return found;
}
"""
FOCUSED = """
() => {
  const { activeElement: active } = document;
  const style = getComputedStyle(active);
  const name = active.id || active.dataset.key || active.textContent.trim() || active.tagName;
  return { name, outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 };
}
"""
REACHABLE = """
() => [...document.querySelectorAll("a[href], button, input, select, textarea, summary")]
  .filter((element) => element.checkVisibility() && !element.matches(":disabled"))
  .map((element) => element.id || element.dataset.key || element.textContent.trim() || element.tagName)
"""


# --- nothing from elsewhere, nothing against the policy ----------------------------------------------


def test_a_whole_visit_has_no_console_error_no_violation_and_no_foreign_request(serve, visit, expect):
    opened = visit(serve().url)
    opened.query.fill("do you ship to Norway")
    opened.page.get_by_text("Why", exact=True).click()
    expect(opened.page.locator("#neighbours tr")).to_have_count(8)
    opened.add_to("order_status")
    expect(opened.decision).to_have_text("goes to order_status")
    opened.button("Undo").click()
    expect(opened.decision).to_contain_text("abstains")
    opened.route("refund_status").locator("summary").click()
    opened.button("Refresh").click()
    opened.page.wait_for_load_state("networkidle")
    assert opened.console == []
    assert opened.violations() == []
    assert opened.foreign_requests() == []
    assert any(url.endswith("/playground/app.js") for url in opened.requested)


def test_the_page_comes_whole_where_requests_are_rationed(serve, visit, expect):
    opened = visit(serve(routes=FEW, encoder=HashingEncoder(), rate_limit=1, rate_burst=4).url)
    expect(opened.page.locator("#count")).to_have_text("2 routes")
    assert opened.console == []


def test_the_policy_is_the_services_and_would_stop_an_inline_script(serve, visit):
    opened = visit(serve(routes=FEW, encoder=HashingEncoder()).url)
    script = "Object.assign(document.createElement('script'), {textContent: 'document.title = 1'})"
    opened.page.evaluate(f"() => document.body.append({script})")
    assert opened.page.title() == "SynaptoRoute playground"
    opened.page.wait_for_function("() => window.violations.length")
    assert opened.violations()[0].startswith("script-src")


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_is_shown_as_text_wherever_it_appears(serve, visit, expect, text):
    served = serve(routes=[Route("refund", [text, "money back"], description=text)], encoder=HashingEncoder())
    opened = visit(served.url)
    seen = text.replace("\x1b", "\u241b").replace("\u202e", "[U+202E]").replace("\u202c", "[U+202C]")
    expect(opened.route("refund").locator(".description")).to_have_text(seen)
    opened.route("refund").locator("summary").click()
    expect(opened.route("refund").get_by_role("listitem").first).to_contain_text(seen)
    opened.query.fill(text)
    expect(opened.candidates.first).to_contain_text(seen)
    opened.page.get_by_text("Why", exact=True).click()
    expect(opened.page.locator("#neighbours")).to_contain_text(seen)
    opened.route("refund").get_by_role("button", name="Remove").first.click()
    expect(opened.notice).to_contain_text("Removed from refund.")
    assert served.router.routes["refund"].utterances == ("money back",)
    assert opened.page.locator("main img, main script").count() == 0
    assert opened.page.title() == "SynaptoRoute playground"
    assert opened.console == []


# --- keys --------------------------------------------------------------------------------------------


def test_a_key_is_asked_for_kept_for_the_tab_and_never_put_into_an_address(serve, visit, expect, keys):
    served = serve(routes=FEW, encoder=HashingEncoder(), keys=keys.setting, key=keys.admin)
    opened = visit(served.url)
    field = opened.page.get_by_label("Key", exact=True)
    expect(field).to_be_focused()
    expect(field).to_have_attribute("type", "password")
    expect(opened.query).to_be_hidden()
    field.fill("srk_wrong")
    opened.page.keyboard.press("Enter")
    expect(opened.page.get_by_text("The service did not accept this key.")).to_be_visible()
    expect(field).to_have_value("")
    field.fill(keys.admin)
    opened.page.keyboard.press("Enter")
    expect(opened.query).to_be_focused()
    opened.query.fill("money back")
    expect(opened.decision).to_have_text("goes to refund")
    opened.page.reload()
    opened.query.fill("stop it")
    expect(opened.decision).to_have_text("goes to cancel")
    assert opened.page.evaluate("localStorage.length + document.cookie.length") == 0
    assert not any(keys.admin in url for url in opened.requested)
    opened.button("Forget the key").click()
    expect(field).to_be_focused()
    assert opened.page.evaluate("sessionStorage.length") == 0


def test_a_key_that_may_only_ask_sees_editing_switched_off_and_why(serve, visit, expect, keys):
    served = serve(routes=FEW, encoder=HashingEncoder(), keys=keys.setting)
    opened = visit(served.url)
    opened.page.get_by_label("Key", exact=True).fill(keys.route)
    opened.button("Use this key").click()
    opened.query.fill("money back")
    expect(opened.decision).to_have_text("goes to refund")
    expect(opened.button("Add")).to_be_disabled()
    expect(opened.page.locator("#teach")).to_contain_text("Editing is off: this key may ask and look.")
    opened.route("refund").locator("summary").click()
    for control in opened.route("refund").locator("input, button").all():
        expect(control).to_be_disabled()
    opened.page.get_by_text("New route", exact=True).first.click()
    expect(opened.page.get_by_label("Name")).to_be_disabled()
    expect(opened.page.get_by_text("Shown to keys with the scope admin only")).to_be_visible()
    expect(opened.alert).to_be_empty()
    assert [line for line in opened.console if "401" not in line] == []  # without a key, it had to ask for one


# --- the keyboard and the eye ------------------------------------------------------------------------


def test_the_keyboard_alone_asks_teaches_undoes_and_comes_back(serve, visit, expect):
    served = serve()
    opened = visit(served.url)
    press = opened.page.keyboard.press
    expect(opened.page.locator("#count")).to_have_text("14 routes")
    opened.page.keyboard.type("do you ship to Norway")
    press("Enter")
    expect(opened.decision).to_contain_text("abstains")
    press("Tab")
    expect(opened.page.get_by_label("Add this text to")).to_be_focused()
    opened.page.keyboard.type("order")
    press("Tab")
    press("Enter")
    expect(opened.decision).to_have_text("goes to order_status")
    while opened.page.evaluate(FOCUSED)["name"] != "Undo":
        press("Shift+Tab")
    press("Enter")
    expect(opened.decision).to_contain_text("abstains")
    expect(opened.query).to_be_focused()
    press("Tab")
    press("Tab")
    press("/")
    expect(opened.query).to_be_focused()
    press("Escape")
    expect(opened.query).to_have_value("")
    press("/")
    expect(opened.query).to_have_value("/")


def test_tab_stops_at_every_control_and_each_shows_that_it_has_the_focus(serve, visit, expect):
    served = serve(routes=FEW, encoder=HashingEncoder())
    opened = visit(served.url)
    opened.query.fill("something else")
    opened.page.get_by_text("New route", exact=True).first.click()
    opened.route("refund").locator("summary").click()
    opened.query.press("Enter")
    expect(opened.page.locator("#abstentions button")).to_have_count(1)
    wanted = opened.page.evaluate(REACHABLE)
    opened.query.focus()
    stops = []
    for _ in range(len(wanted) + 3):
        stops.append(opened.page.evaluate(FOCUSED))
        opened.page.keyboard.press("Tab")
    assert {stop["name"] for stop in stops} >= set(wanted)
    assert [stop["name"] for stop in stops if not stop["outlined"] and stop["name"] in wanted] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_in_both_colour_schemes(serve, visit, expect, scheme):
    opened = visit(serve().url, color_scheme=scheme)
    opened.query.fill("do you ship to Norway")
    opened.page.get_by_text("Why", exact=True).click()
    expect(opened.page.locator("#neighbours tr")).to_have_count(8)
    opened.add_to("order_status")
    expect(opened.decision).to_have_text("goes to order_status")
    opened.route("refund_status").locator("summary").click()
    opened.page.get_by_text("New route", exact=True).first.click()
    contrasts = opened.page.evaluate(CONTRASTS)
    opened.query.fill("\u200b")
    expect(opened.alert).to_contain_text("blank")
    contrasts += opened.page.evaluate(CONTRASTS)
    assert len(contrasts) > 50
    assert [(round(ratio, 2), text) for ratio, text in contrasts if ratio < AA] == []


def test_the_two_colour_schemes_differ(serve, visit):
    url = serve(routes=FEW, encoder=HashingEncoder()).url
    style = "() => [getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    light, dark = (visit(url, color_scheme=scheme).page.evaluate(style) for scheme in ("light", "dark"))
    assert light[0] != dark[0]
    assert light[1] != dark[1]


@pytest.mark.parametrize("width", [360, 768, 1920])
def test_nothing_is_wider_than_the_screen(serve, visit, expect, width):
    long = [Route("a" * 128, ["x" * 300]), Route("other", ["y" * 300], description="z" * 300)]
    opened = visit(serve(routes=long, encoder=HashingEncoder()).url, viewport={"width": width, "height": 740})
    opened.query.fill("x" * 300)
    expect(opened.candidates).to_have_count(2)
    opened.page.get_by_text("Why", exact=True).click()
    expect(opened.page.locator("#neighbours tr")).to_have_count(2)
    for summary in opened.page.locator("#routes summary").all():
        summary.click()
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


def test_nothing_moves_for_readers_who_want_it_so(serve, visit, expect):
    opened = visit(serve().url, reduced_motion="reduce")
    opened.query.fill("do you ship to Norway")
    expect(opened.decision).to_contain_text("abstains")
    opened.add_to("order_status")
    expect(opened.page.locator("#answer")).to_have_class("card turned")
    assert opened.page.evaluate("document.getAnimations().length") == 0


def test_what_changes_is_announced(serve, visit, expect):
    opened = visit(serve(routes=FEW, encoder=HashingEncoder()).url)
    expect(opened.decision).to_have_attribute("aria-live", "polite")
    expect(opened.alert).to_have_count(1)
    for region in ("notice", "moved", "state", "count"):
        expect(opened.page.locator(f"#{region}")).to_have_attribute("role", "status")
    unnamed = (
        "() => [...document.querySelectorAll('input, select, textarea')].filter((each) => !each.labels.length).length"
    )
    opened.route("refund").locator("summary").click()
    assert opened.page.evaluate(unnamed) == 0
