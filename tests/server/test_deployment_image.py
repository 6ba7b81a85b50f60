"""The image, as far as its Dockerfile tells without a builder."""

import re
import tomllib

import pytest
from deployed import (
    DEPLOY,
    ROOT,
    dockerfile,
    git,
    health_command,
    image_environment,
    instruction,
    instructions,
    is_sent_to_the_builder,
    repository_files,
)
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from synaptoroute_core import ConfigurationError
from synaptoroute_integrations.server import ServerSettings

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SECRET = re.compile(r"(^|_)(api_?key|auth|credentials?|key|passw(or)?d|secret|token)($|_)", re.IGNORECASE)
EXTRAS = ("server", "fit", "postgres", "redis")
BUILD_TOOLS = ("apt-get", "apk", "gcc", "build-essential", "git", "curl", "wget", "pip install", "pip wheel")


def base_image() -> str:
    (base,) = [one.value.partition("=")[2] for one in instructions("ARG") if one.value.startswith("PYTHON_IMAGE=")]
    return base


# --- where it begins ------------------------------------------------------------------------------


def test_every_stage_begins_with_one_image_whose_digest_can_be_given():
    assert [one.words[0] for one in instructions("FROM")] == ["${PYTHON_IMAGE}"] * 2


def test_the_base_image_has_a_tag_that_says_which_python_and_which_system():
    assert re.fullmatch(r"python:3\.\d+-slim-[a-z]+", base_image())


def base_python() -> str:
    return base_image().removeprefix("python:").partition("-")[0]


def test_the_base_image_has_a_python_that_the_package_allows():
    assert Version(base_python()) in SpecifierSet(PROJECT["requires-python"])


# --- what is put in -------------------------------------------------------------------------------


def copied() -> list[str]:
    return [source for one in instructions("COPY") if not one.is_from_stage for source in one.words[:-1]]


def files_of(source: str) -> list[str]:
    return [name for name in repository_files() if name == source or name.startswith(f"{source}/")]


@pytest.mark.parametrize("source", copied())
def test_what_is_copied_is_in_the_repository_and_is_sent_to_the_builder(source):
    files = files_of(source)
    assert files
    assert [name for name in files if not is_sent_to_the_builder(name)] == []


def test_nothing_is_sent_to_the_builder_that_is_not_copied():
    sent = {name for name in repository_files() if is_sent_to_the_builder(name)}
    assert sent == {name for source in copied() for name in files_of(source)}


@pytest.mark.parametrize(
    "name",
    [
        ".git/config",
        ".venv/bin/python",
        ".env",
        "tests/conftest.py",
        "routes.sqlite",
        "deploy/secrets/keys",
        "docs/deployment.md",
        "core/synaptoroute_core/__pycache__/router.cpython-311.pyc",
        "core/routes.sqlite-wal",
        "synaptoroute_integrations.egg-info/PKG-INFO",
    ],
)
def test_what_lies_about_in_a_checkout_is_not_sent_to_the_builder(name):
    assert not is_sent_to_the_builder(name)


def test_nothing_is_fetched_by_an_instruction_that_unpacks_what_it_gets():
    assert instructions("ADD") == []


def test_the_image_holds_no_secret():
    names = [name for one in instructions("ENV") for name in one.pairs]
    names += [one.value.partition("=")[0] for one in instructions("ARG")]
    assert [name for name in names if SECRET.search(name)] == []


# --- what is installed ----------------------------------------------------------------------------


def pip_commands() -> list[str]:
    commands = [part.strip() for one in instructions("RUN") for part in one.value.split("&&")]
    return [command for command in commands if re.match(r"pip .*\b(install|wheel)\b", command)]


def test_pip_leaves_no_cache_in_a_layer():
    assert len(pip_commands()) == 3
    assert all("--no-cache-dir" in command for command in pip_commands())


def test_what_is_installed_is_known_by_its_hash_or_was_built_here():
    installs = [command for command in pip_commands() if " install " in command]
    assert all("--require-hashes" in command or "--no-index" in command for command in installs)


def locked() -> dict[str, Version]:
    text = (DEPLOY / "requirements.txt").read_text(encoding="utf-8")
    entries = re.findall(r"^([\w.\-]+)==(\S+)[^\\\n]*((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", text, re.MULTILINE)
    assert len(entries) == len(re.findall(r"^\w", text, re.MULTILINE)), "an entry without a version or a hash"
    return {name: Version(version) for name, version, _ in entries}


def test_the_locked_versions_are_those_that_the_package_and_its_extras_allow():
    """Whoever changes pyproject.toml makes the file anew: its first lines say how."""
    extras = PROJECT["optional-dependencies"]
    needed = [
        Requirement(text) for text in [*PROJECT["dependencies"], *(one for extra in EXTRAS for one in extras[extra])]
    ]
    versions = locked()
    missed = [str(one) for one in needed if versions.get(one.name) not in one.specifier]
    assert missed == []


def test_the_versions_are_locked_for_the_python_of_the_image():
    header = (DEPLOY / "requirements.txt").read_text(encoding="utf-8").split("\n", 3)[1]
    assert f"--python-version {base_python()} " in header
    wanted = {f"--extra {extra}" for extra in EXTRAS} | {"--generate-hashes"}
    assert wanted <= set(re.findall(r"--[a-z-]+(?: \w+)?", header))


def test_what_is_installed_are_the_extras_whose_versions_are_locked():
    [installed] = [command for command in pip_commands() if "--no-index" in command]
    assert f"[{','.join(EXTRAS)}]" in installed


def test_the_finished_image_has_no_tool_to_build_or_fetch_with():
    run = " ".join(one.value for one in instructions("RUN", last_stage=True))
    assert [tool for tool in BUILD_TOOLS if tool in run] == []
    assert re.search(r"pip uninstall --yes .*\bpip setuptools wheel\b", run)


# --- who runs it, and how -------------------------------------------------------------------------


def test_the_service_runs_as_a_fixed_number_that_is_not_root():
    user, group = (int(part) for part in instruction("USER").value.split(":"))
    assert user >= 10_000
    assert group >= 10_000


def test_everything_that_needs_root_is_done_before_root_is_left():
    keywords = [one.keyword for one in dockerfile() if one.stage == 2]
    assert {"RUN", "COPY"} & set(keywords[keywords.index("USER") :]) == set()


def test_the_program_belongs_to_root_and_the_data_to_the_service():
    (program,) = instructions("COPY", last_stage=True)
    assert "--chown" not in program.value
    user, group = instruction("USER").value.split(":")
    data = instruction("VOLUME").value
    assert f"install -d -o {user} -g {group} -m 0700 {data}" in instruction("RUN").value
    assert instruction("WORKDIR").value == data
    assert image_environment()["SYNAPTOROUTE_DB"].startswith(f"{data}/")


def test_the_command_is_the_one_that_the_package_installs_and_gets_the_signals_itself():
    program, subcommand = instruction("ENTRYPOINT").command
    assert program in PROJECT["scripts"]
    assert subcommand == "serve"
    assert instruction("STOPSIGNAL").value == "SIGTERM"


def test_the_health_check_needs_no_shell_and_no_other_program_and_asks_whether_it_is_ready():
    program, flag, code = health_command()
    assert (program, flag) == ("python", "-c")
    compile(code, "HEALTHCHECK", "exec")
    assert "/health/ready" in code


def test_the_exposed_port_is_the_one_that_is_listened_to():
    assert instruction("EXPOSE").value == image_environment()["SYNAPTOROUTE_PORT"]


@pytest.mark.parametrize(
    ("name", "value"), [("PYTHONUNBUFFERED", "1"), ("ORT_DISABLE_TELEMETRY", "1"), ("HF_HUB_OFFLINE", "1")]
)
def test_the_service_in_the_image_logs_at_once_and_calls_nobody(name, value):
    assert image_environment()[name] == value


def test_the_image_listens_on_all_addresses_and_so_refuses_to_start_without_keys():
    settings = ServerSettings.from_environment(image_environment())
    assert settings.host == "0.0.0.0"  # noqa: S104  # what is meant
    with pytest.raises(ConfigurationError, match="no keys"):
        settings.require_keys()
    ServerSettings.from_environment({**image_environment(), "SYNAPTOROUTE_KEYS_FILE": "keys"}).require_keys()


@pytest.mark.parametrize("name", ["deploy/secrets/keys", "deploy/secrets/metrics_key"])
def test_git_does_not_see_the_files_with_secrets(name):
    assert git("check-ignore", name) == f"{name}\n"
