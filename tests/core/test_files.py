"""Route files: what is written comes back, and what a person got wrong is named with its place."""

import json
import os
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synaptoroute_core import (
    AdaptiveRouter,
    ConfigurationError,
    HashingEncoder,
    InvalidTextError,
    Route,
    SynaptoRouteError,
    load_routes,
    save_routes,
)

SUFFIXES = (".yaml", ".yml", ".json")
EVERY_SUFFIX = pytest.mark.parametrize("suffix", SUFFIXES)
ROUTES = (
    Route("refund_status", ["when do I get my money back", "has my refund been sent"], threshold=0.6),
    Route("größe", ["passt das? 👟", "日本語"], description="Sizes: #1", metadata={"tool": "s", "n": [1, None, {}]}),
    Route(
        "zebra", ["yes", "12", "1e3", "null", "2024-01-01", "a: b", "- a", "# no comment", "'", '"', "\x07\tb", "\\"]
    ),
)
BARE_WORDS = ["yes", "No", "on", "off", "true", "12", "1_000", "0x1F", "1.5", "1.5e+3", ".inf", "12:30"]
BARE_WORDS += ["2024-01-01", "2024-01-01 10:00:00", "~", "null"]


def load(folder, content, suffix=".yaml"):
    """What ``load_routes`` makes of a file with this content."""
    path = folder / f"routes{suffix}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_routes(path)


def load_one(folder, lines):
    """Load one route, given by the lines of its YAML mapping."""
    body = "".join(f"\n    {line}" for line in lines)
    return load(folder, f"routes:\n  -{body}\n")


def refusal(folder, content, suffix=".yaml", *, error=ConfigurationError):
    """The message with which a file is refused; it names the file."""
    with pytest.raises(error) as caught:
        load(folder, content, suffix)
    message = str(caught.value)
    assert str(folder / f"routes{suffix}") in message
    return message


# --- round trip --------------------------------------------------------------------------------


@EVERY_SUFFIX
def test_what_is_saved_comes_back_in_its_order(tmp_path, suffix):
    path = tmp_path / f"routes{suffix}"
    save_routes(path, ROUTES)
    assert load_routes(path) == ROUTES


def test_the_sample_file_goes_through_both_formats(tmp_path, support_routes):
    for suffix in SUFFIXES:
        save_routes(tmp_path / f"sample{suffix}", support_routes)
        assert load_routes(tmp_path / f"sample{suffix}") == support_routes


any_text = st.text(st.characters(exclude_categories=()), min_size=1, max_size=30)
json_data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def valid_routes(draw):
    """Routes with everything a caller may put in; what the engine refuses is drawn anew."""
    names = draw(st.lists(st.from_regex(r"[\w.\-]{1,12}", fullmatch=True), unique=True, min_size=1, max_size=3))
    routes = []
    for name in names:
        texts = draw(st.lists(any_text.filter(_is_utterance), min_size=1, max_size=4))
        routes.append(
            Route(
                name,
                texts,
                description=draw(st.text(max_size=30)),
                threshold=draw(st.none() | st.floats(-1, 1)),
                metadata=draw(st.dictionaries(st.text(max_size=8), json_data, max_size=3)),
            )
        )
    return tuple(routes)


def _is_utterance(text):
    try:
        Route("a", [text])
    except SynaptoRouteError:
        return False
    return True


@settings(deadline=None)
@given(valid_routes(), st.sampled_from(SUFFIXES))
def test_every_valid_route_survives_saving_and_loading(routes, suffix):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"routes{suffix}"
        save_routes(path, routes)
        assert load_routes(path) == routes


@EVERY_SUFFIX
def test_no_routes_are_a_file_too(tmp_path, suffix):
    save_routes(tmp_path / f"none{suffix}", [])
    assert load_routes(tmp_path / f"none{suffix}") == ()


def test_a_yaml_file_is_for_people(tmp_path):
    """The name comes first, letters of any script stay letters, what is at its default is not written."""
    save_routes(tmp_path / "routes.yaml", ROUTES)
    text = (tmp_path / "routes.yaml").read_text(encoding="utf-8")
    assert "größe" in text
    assert "日本語" in text
    assert text.count("- name:") == len(ROUTES)
    assert text.count("description:") == text.count("metadata:") == text.count("threshold:") == 1


def test_a_list_without_the_word_routes_is_read_as_well(tmp_path):
    assert load(tmp_path, "- name: a\n  utterances: [x]\n") == (Route("a", ["x"]),)


def test_a_router_comes_from_a_file_and_goes_to_one(tmp_path):
    save_routes(tmp_path / "in.yaml", ROUTES)
    with AdaptiveRouter.from_file(tmp_path / "in.yaml", encoder=HashingEncoder()) as router:
        router.export(tmp_path / "out.json")
    assert load_routes(tmp_path / "out.json") == ROUTES


# --- traps of YAML -----------------------------------------------------------------------------


@pytest.mark.parametrize("bare", BARE_WORDS)
def test_a_bare_word_that_yaml_takes_for_something_else_is_told_to_wear_quotes(tmp_path, bare):
    content = f"routes:\n  - name: a\n    utterances:\n      - good\n      - {bare}\n"
    message = refusal(tmp_path, content, error=InvalidTextError)
    assert "route 1 ('a')" in message
    assert "quotes" in message


def test_a_colon_that_makes_a_mapping_of_an_utterance_is_told_to_wear_quotes(tmp_path):
    content = "routes:\n  - name: a\n    utterances:\n      - order status: still processing?\n"
    message = refusal(tmp_path, content, error=InvalidTextError)
    assert "still processing?" in message
    assert "quotes" in message


@pytest.mark.parametrize("bare", ["404", "yes", "1.0", "2024-01-01"])
def test_a_bare_name_that_yaml_takes_for_something_else_is_told_to_wear_quotes(tmp_path, bare):
    """ "404 cannot be a name: use letters, digits" would send people looking in the wrong place."""
    assert "quotes" in refusal(tmp_path, f"routes:\n  - name: {bare}\n    utterances: [x]\n")


@pytest.mark.parametrize("quoted", ["'yes'", '"12"', "'2024-01-01'", "'a: b'"])
def test_in_quotes_it_is_text(tmp_path, quoted):
    assert load_one(tmp_path, ["name: a", f"utterances: [{quoted}]"])[0].utterances == (quoted.strip("'\""),)


def test_a_threshold_that_yaml_takes_for_a_truth_value_is_refused(tmp_path):
    message = refusal(tmp_path, "routes:\n  - name: a\n    threshold: yes\n    utterances: [x]\n")
    assert "threshold" in message


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        ("routes:\n  - name: a\n    utterances: [lost]\n    utterances: [kept]\n", ".yaml"),
        ('{"routes": [{"name": "a", "utterances": ["lost"], "utterances": ["kept"]}]}', ".json"),
        ("routes:\n  - name: a\n    utterances: [lost]\nroutes:\n  - name: b\n    utterances: [kept]\n", ".yaml"),
    ],
    ids=["yaml", "json", "routes"],
)
def test_a_key_that_is_there_twice_is_refused_and_its_first_half_not_lost(tmp_path, content, suffix):
    assert "twice" in refusal(tmp_path, content, suffix)


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.getcwd []", "!!python/name:os.system", "!custom x"])
def test_a_yaml_file_cannot_make_anything_but_data(tmp_path, tag):
    refusal(tmp_path, f"routes:\n  - name: a\n    utterances: [{tag}]\n")


# --- what a person gets wrong ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "missing"),
    [(["utterances: [x]"], "name"), (["name: a"], "utterances"), (["name: a", "utterances:"], "utterances")],
)
def test_a_missing_key_is_named(tmp_path, lines, missing):
    with pytest.raises(ConfigurationError, match=f"route 1 .*{missing}"):
        load_one(tmp_path, lines)


def test_an_unknown_key_is_named_with_its_route(tmp_path):
    with pytest.raises(ConfigurationError, match=r"route 1 \('a'\).*treshold = 0\.7"):
        load_one(tmp_path, ["name: a", "utterances: [x]", "treshold: 0.7"])


def test_an_unknown_key_beside_routes_is_refused(tmp_path):
    """``threshold: 0.9`` at the top looks like the default of all routes and would do nothing."""
    assert "threshold" in refusal(tmp_path, "threshold: 0.9\nroutes:\n  - name: a\n    utterances: [x]\n")


def test_a_wrong_entry_is_found_by_its_number(tmp_path):
    content = "routes:\n  - {name: a, utterances: [x]}\n  - {name: b, utterances: [x]}\n  - {name: c, utterances: []}\n"
    message = refusal(tmp_path, content)
    assert "route 3 ('c')" in message
    assert "at least one utterance" in message


@pytest.mark.parametrize(
    "threshold",
    ["1.5", "-2", ".nan", ".inf", "high", "[0.5]"],
)
def test_a_wrong_threshold_is_named_with_its_route(tmp_path, threshold):
    message = refusal(tmp_path, f"routes:\n  - name: a\n    threshold: {threshold}\n    utterances: [x]\n")
    assert "route 1 ('a')" in message
    assert "threshold" in message


def test_a_name_that_is_there_twice_is_refused(tmp_path):
    content = "routes:\n  - {name: a, utterances: [x]}\n  - {name: a, utterances: [y]}\n"
    assert "'a' is there twice" in refusal(tmp_path, content)


@pytest.mark.parametrize(
    "content", ["", "routes:", "routes: refund", "routes: {a: [x]}", "just text", "route:\n  - name: a", "3"]
)
def test_a_file_without_a_list_of_routes_is_refused(tmp_path, content):
    assert "expected a list under 'routes'" in refusal(tmp_path, content)


@pytest.mark.parametrize("entry", ["refund", "[refund]", "3", "~"])
def test_an_entry_that_is_no_mapping_is_refused(tmp_path, entry):
    assert "route 1" in refusal(tmp_path, f"routes:\n  - {entry}\n")


@pytest.mark.parametrize("name", ["routes", "routes.txt", "routes.toml", "routes.yaml.bak", ".yaml"])
def test_another_suffix_is_refused_for_reading_and_for_writing(tmp_path, name):
    for attempt in (lambda: load_routes(tmp_path / name), lambda: save_routes(tmp_path / name, ROUTES)):
        with pytest.raises(ConfigurationError, match=r"ends in \.yaml, \.yml or \.json"):
            attempt()
    assert not list(tmp_path.iterdir())


def test_the_suffix_may_be_in_capitals(tmp_path):
    save_routes(tmp_path / "ROUTES.JSON", ROUTES)
    assert load_routes(tmp_path / "ROUTES.JSON") == ROUTES
    json.loads((tmp_path / "ROUTES.JSON").read_text(encoding="utf-8"))


@EVERY_SUFFIX
@pytest.mark.parametrize(
    "content", [b"routes: \xe9t\xe9", b"\xff\xfea\x00", b"\x00\x80\xfe"], ids=["latin-1", "utf-16", "binary"]
)
def test_a_file_that_is_not_utf_8_is_refused(tmp_path, content, suffix):
    assert "utf-8" in refusal(tmp_path, content, suffix)


@EVERY_SUFFIX
def test_the_mark_that_some_editors_put_in_front_does_no_harm(tmp_path, suffix):
    content = '\ufeff{"routes": [{"name": "a", "utterances": ["x"]}]}'
    assert load(tmp_path, content, suffix) == (Route("a", ["x"]),)


def test_line_ends_of_another_system_do_no_harm(tmp_path):
    assert load(tmp_path, "routes:\r\n  - name: a\r\n    utterances:\r\n      - x\r\n") == (Route("a", ["x"]),)


def test_broken_yaml_is_refused_with_its_line(tmp_path):
    message = refusal(tmp_path, "routes:\n  - name: a\n    utterances: [x\n  - name: b\n")
    assert "not valid YAML" in message
    assert "line 4" in message


def test_broken_json_is_refused_with_its_line(tmp_path):
    message = refusal(tmp_path, '{"routes": [\n  {"name" "a"}\n]}', ".json")
    assert "not valid JSON" in message
    assert "line 2" in message


@EVERY_SUFFIX
def test_a_file_nested_beyond_all_measure_is_refused(tmp_path, suffix):
    refusal(tmp_path, "[" * 5_000, suffix)


@pytest.mark.parametrize("name", ["missing.yaml", "missing/routes.json"])
def test_a_file_that_is_not_there_is_refused_by_its_path(tmp_path, name):
    with pytest.raises(ConfigurationError, match="cannot read the route file") as caught:
        load_routes(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_a_folder_is_refused(tmp_path):
    (tmp_path / "routes.yaml").mkdir()
    with pytest.raises(ConfigurationError, match="cannot read the route file"):
        load_routes(tmp_path / "routes.yaml")


# --- writing -----------------------------------------------------------------------------------


@EVERY_SUFFIX
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, suffix, step):
    path = tmp_path / f"routes{suffix}"
    save_routes(path, ROUTES)
    before = path.read_bytes()

    def full_disk(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, full_disk)
    if step == "replace":
        monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_routes(path, ROUTES[:1])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_needs_no_other_folder(tmp_path, monkeypatch):
    """A file made elsewhere could not be moved into its place in one step."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    save_routes(tmp_path / "routes.yaml", ROUTES)
    assert load_routes(tmp_path / "routes.yaml") == ROUTES


def test_a_write_into_a_folder_that_is_not_there_raises_os_error(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        save_routes(tmp_path / "missing" / "routes.yaml", ROUTES)


def test_an_export_keeps_the_rights_of_the_file_it_replaces(tmp_path):
    """Colleagues and other services who could read the file must go on being able to."""
    path = tmp_path / "routes.yaml"
    save_routes(path, ROUTES)
    path.chmod(0o664)
    save_routes(path, ROUTES[:1])
    assert stat.S_IMODE(path.stat().st_mode) == 0o664


def test_a_new_file_gets_the_rights_that_a_new_file_gets(tmp_path):
    (tmp_path / "other").touch()
    save_routes(tmp_path / "routes.yaml", ROUTES)
    assert (tmp_path / "routes.yaml").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_an_export_through_a_link_writes_the_file_behind_it(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link.yaml").symlink_to(tmp_path / "real" / "routes.yaml")
    save_routes(tmp_path / "real" / "routes.yaml", ROUTES)
    save_routes(tmp_path / "link.yaml", ROUTES[:1])
    assert load_routes(tmp_path / "real" / "routes.yaml") == ROUTES[:1]
