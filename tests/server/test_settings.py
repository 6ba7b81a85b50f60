"""Settings and the environment that they are read from."""

import re
import traceback
from typing import Any

import pytest

from synaptoroute_core import ConfigurationError
from synaptoroute_integrations.server import ServerSettings
from synaptoroute_integrations.server.settings import PREFIX

VALUES: dict[str, tuple[str, Any]] = {
    "db": ("routes.sqlite", "routes.sqlite"),
    "routes": ("routes.yaml", "routes.yaml"),
    "host": ("::1", "::1"),
    "port": ("0", 0),
    "workers": ("1", 1),
    "keys_file": ("keys", "keys"),
    "keys": ("a route sha256:" + "0" * 64, None),
    "encoder": ("BAAI/bge-small-en-v1.5", "BAAI/bge-small-en-v1.5"),
    "threshold": ("-0.25", -0.25),
    "min_margin": ("0", 0.0),
    "max_texts": ("10000", 10_000),
    "max_body_bytes": ("1024", 1024),
    "max_stream_bytes": ("1048576", 1_048_576),
    "max_in_flight": ("1", 1),
    "max_pending": ("5", 5),
    "max_queue_s": ("0.5", 0.5),
    "cache_size": ("0", 0),
    "timeout_s": ("1e1", 10.0),
    "rate_limit": ("2.5", 2.5),
    "rate_burst": ("7", 7),
    "body_timeout_s": ("3", 3.0),
    "max_staleness_s": ("5", 5.0),
    "drain_timeout_s": ("0", 0.0),
    "cors_origins": ("https://a.example, https://b.example,", ("https://a.example", "https://b.example")),
    "allowed_hosts": ("a.example", ("a.example",)),
    "playground": ("false", False),
    "abstentions_kept": ("0", 0),
    "log_format": ("json", "json"),
    "log_level": ("debug", "debug"),
    "log_queries": ("yes", True),
    "runtime_dir": ("/run/x", "/run/x"),
}


def read(**variables: str) -> ServerSettings:
    return ServerSettings.from_environment({PREFIX + name.upper(): value for name, value in variables.items()})


def test_every_setting_has_a_variable():
    assert VALUES.keys() == ServerSettings.model_fields.keys()


@pytest.mark.parametrize("name", VALUES)
def test_a_setting_is_read_from_the_environment(name):
    text, value = VALUES[name]
    found = getattr(read(**{name: text}), name)
    assert (found.get_secret_value() if name == "keys" else found) == (text if name == "keys" else value)


@pytest.mark.parametrize("name", VALUES)
def test_every_setting_is_described(name):
    assert re.search(rf"^        {name}: .+\.", ServerSettings.__doc__ or "", re.MULTILINE)


@pytest.mark.parametrize("text", ["1", "true", "YES", "On"])
def test_yes_may_be_said_in_several_ways(text):
    assert read(log_queries=text).log_queries is True


@pytest.mark.parametrize("text", ["0", "False", "no", "OFF"])
def test_no_may_be_said_in_several_ways(text):
    assert read(playground=text).playground is False


def test_an_empty_variable_is_as_good_as_none():
    assert read(**dict.fromkeys(VALUES, "")) == ServerSettings()


def test_other_variables_are_not_looked_at():
    assert ServerSettings.from_environment({"PATH": "/bin", "synaptoroute_port": "x"}) == ServerSettings()


def test_numbers_that_need_not_be_there_may_be_none():
    settings = read(max_staleness_s="none", max_queue_s="None")
    assert (settings.max_staleness_s, settings.max_queue_s) == (None, None)


def test_a_password_in_the_url_of_a_store_is_not_shown():
    url = "postgresql://me:hunter2@db.internal/routes?namespace=shop"
    settings = ServerSettings(db=url)
    assert settings.db == url
    for shown in (repr(settings), str(settings), f"{settings}"):
        assert "hunter2" not in shown
        assert "postgresql://me:***@db.internal/routes?namespace=shop" in shown


def test_a_password_is_not_in_what_is_wrong_with_settings_nor_in_its_traceback():
    password = "hunter" + "2"  # in no line of source that a traceback shows
    with pytest.raises(ConfigurationError, match="me:") as caught:
        ServerSettings(db=f"redis://me:{password}@db.internal/0", routes="routes.yaml")
    assert password not in "".join(traceback.format_exception(caught.value))


def test_what_is_given_goes_before_the_environment():
    settings = ServerSettings.from_environment(
        {"SYNAPTOROUTE_PORT": "1", "SYNAPTOROUTE_HOST": "::1"}, port=2, host=None
    )
    assert (settings.port, settings.host) == (2, "::1")


WRONG = [
    ("port", "abc", "a whole number"),
    ("port", "80.5", "a whole number"),
    ("port", "70000", "65535"),
    ("port", "-1", "greater than or equal to 0"),
    ("port", "tcp://10.0.0.1:8000", "a whole number"),
    ("port", "9" * 5_000, "a whole number"),
    ("workers", "0", "1"),
    ("threshold", "1.5", "1"),
    ("threshold", "nan", "finite"),
    ("threshold", "x", "a number"),
    ("max_queue_s", "inf", "finite"),
    ("max_queue_s", "-1", "0"),
    ("timeout_s", "0", "greater than 0"),
    ("rate_limit", "0", "greater than 0"),
    ("playground", "maybe", "true or false"),
    ("log_format", "xml", "'text' or 'json'"),
    ("log_level", "loud", "'debug'"),
    ("max_body_bytes", "10", "1024"),
]


@pytest.mark.parametrize(("name", "text", "hint"), WRONG)
def test_a_wrong_value_is_named_with_what_would_be_right(name, text, hint):
    with pytest.raises(ConfigurationError) as caught:
        read(**{name: text})
    told = str(caught.value)
    assert name in told.lower()
    assert hint in told
    assert text[:20] in told
    assert len(told) < 400


def test_a_variable_that_is_no_setting_is_named_without_its_value():
    """It may be a key under a name that was mistyped."""
    with pytest.raises(ConfigurationError, match="SYNAPTOROUTE_KEY is no setting") as caught:
        read(key="srk_realsecret")
    assert "SYNAPTOROUTE_KEYS" in str(caught.value)
    assert "realsecret" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"db": "a", "routes": "b"}, "synaptoroute add --from b --db a"),
        ({"workers": 2}, "name one with db"),
        ({"keys": "x", "keys_file": "y"}, "name one of them"),
    ],
)
def test_settings_that_exclude_each_other_are_refused(given, hint):
    with pytest.raises(ConfigurationError, match=hint):
        ServerSettings(**given)


def test_settings_do_not_change():
    settings = ServerSettings()
    with pytest.raises(Exception, match="frozen"):
        settings.port = 1
    with pytest.raises(ConfigurationError):
        ServerSettings(prot=1)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_this_machine_alone_needs_no_keys(host):
    ServerSettings(host=host).require_keys()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "router.example", ""])  # noqa: S104
def test_a_public_address_needs_keys(host):
    with pytest.raises(ConfigurationError, match="synaptoroute key"):
        ServerSettings(host=host).require_keys()
    ServerSettings(host=host, keys="x").require_keys()
