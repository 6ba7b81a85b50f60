"""Addresses of stores are shown without passwords, whatever is in them."""

import pytest

from synaptoroute_core import ConfigurationError
from synaptoroute_integrations.addresses import address_of, is_url, masked


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://me:hunter2@db:5432/routes?namespace=a", "postgresql://me:***@db:5432/routes?namespace=a"),
        ("rediss://:hunter2@cache/0", "rediss://:***@cache/0"),
        ("unix://me:hunter2@/run/redis.sock?db=1", "unix://me:***@/run/redis.sock?db=1"),
        ("postgresql://db/routes?user=me&password=hunter2", "postgresql://db/routes?user=me&password=***"),
        ("postgresql://db/routes?sslpassword=hunter2", "postgresql://db/routes?sslpassword=***"),
        ("redis://me:hun/te?r@2@cache/0", "redis://me:***@cache/0"),
        ("redis://me@cache:6379/0", "redis://me@cache:6379/0"),
        ("postgresql://db/routes?password=hun&ter2&user=me", "postgresql://db/routes?password=***&user=me"),
        (" postgresql://me:hunter2@db/routes\n", " postgresql://me:***@db/routes\n"),
        ("postgresql://one:5432,two:5433/routes", "postgresql://one:5432,two:5433/routes"),
        ("folder/me:hunter2@routes.sqlite", "folder/me:hunter2@routes.sqlite"),
    ],
)
def test_only_the_password_of_a_url_is_hidden(address, shown):
    assert masked(address) == shown


@pytest.mark.parametrize("path", ["routes.sqlite", "/data/routes.sqlite", "C:\\routes.sqlite", ":memory:"])
def test_a_path_is_no_url(path):
    assert not is_url(path)


def test_blanks_around_a_url_are_no_part_of_it_and_those_of_a_path_are():
    assert address_of(" redis://cache/0\n") == "redis://cache/0"
    assert address_of("my routes.sqlite ") == "my routes.sqlite "


@pytest.mark.parametrize("address", ["postgresql:/me:hunter2@db/routes", " Redis:cache", "unix:/run/redis.sock"])
def test_half_a_url_is_no_file_and_its_password_is_not_shown(address):
    with pytest.raises(ConfigurationError, match="is followed by //") as refused:
        address_of(address)
    assert "hunter2" not in str(refused.value)
