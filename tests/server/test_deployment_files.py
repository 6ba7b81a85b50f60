"""The files for compose, Prometheus and systemd agree with the image, the service and each other."""

import posixpath
import re
import urllib.parse

import pytest
import yaml
from deployed import (
    DEPLOY,
    ROOT,
    compose,
    container,
    environments,
    git,
    health_command,
    image_environment,
    instruction,
    pod,
    seconds,
    service,
    unit,
)

from synaptoroute_integrations.cli.app import BAD_INPUT
from synaptoroute_integrations.server import ServerSettings
from synaptoroute_integrations.server.auth import required_scope
from synaptoroute_integrations.server.running import LAST_WORDS_S

PORT = image_environment()["SYNAPTOROUTE_PORT"]
STORE_TIMEOUT_S = 5
"""How long a store on another machine may take to answer before it counts as away."""
LAST_WORDS = LAST_WORDS_S + 2 * STORE_TIMEOUT_S  # and what closing the store may take

BY_PLATFORM = pytest.mark.parametrize("platform", ["compose", "kubernetes", "kubernetes-shared", "systemd"])

# --- settings -------------------------------------------------------------------------------------


@BY_PLATFORM
def test_every_variable_is_a_setting_that_the_service_reads(platform):
    """A variable with the prefix that is no setting is an error."""
    settings = ServerSettings.from_environment(environments()[platform])
    assert settings.db
    assert settings.port == int(PORT)


@BY_PLATFORM
def test_the_service_starts_with_keys_that_come_as_a_secret(platform):
    settings = ServerSettings.from_environment(environments()[platform])
    assert settings.keys_file
    settings.require_keys()


def grace_s(platform: str) -> float:
    """The time from the request to stop to the kill, less what passes before the service hears of it."""
    if platform == "compose":
        return seconds(service()["stop_grace_period"])
    if platform == "systemd":
        return seconds(unit()["TimeoutStopSec"][0])
    file = f"{platform}.yaml"
    program, pause = container(file)["lifecycle"]["preStop"]["exec"]["command"]
    assert program == "sleep"
    return pod(file)["terminationGracePeriodSeconds"] - float(pause)


@BY_PLATFORM
def test_what_was_accepted_is_answered_before_the_service_is_killed(platform):
    drain_s = ServerSettings.from_environment(environments()[platform]).drain_timeout_s
    assert grace_s(platform) >= drain_s + LAST_WORDS


def test_systemd_tries_a_service_whose_database_is_away_again_and_one_whose_settings_are_wrong_not():
    assert (unit()["Restart"], unit()["StartLimitIntervalSec"]) == (["on-failure"], ["0"])
    assert unit()["RestartPreventExitStatus"] == [str(BAD_INPUT)]


# --- compose --------------------------------------------------------------------------------------


def test_compose_confines_the_service():
    assert service()["read_only"] is True
    assert service()["cap_drop"] == ["ALL"]
    assert service()["security_opt"] == ["no-new-privileges:true"]
    assert service()["mem_limit"]
    assert service()["pids_limit"]
    assert not {"privileged", "network_mode", "pid", "user", "cap_add"} & set(service())


def test_compose_gives_the_service_a_place_for_its_data_and_one_for_passing_things():
    (volume,) = service()["volumes"]
    name, folder = volume.split(":")
    assert name in compose()["volumes"]
    assert folder == instruction("VOLUME").value
    assert service()["tmpfs"][0].startswith("/tmp:")  # noqa: S108  # in the container


def test_compose_puts_the_keys_where_the_service_looks_for_them():
    (secret,) = service()["secrets"]
    assert service()["environment"]["SYNAPTOROUTE_KEYS_FILE"] == f"/run/secrets/{secret}"


def test_compose_publishes_the_port_of_the_service_on_this_machine_only():
    assert service()["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]


def test_compose_checks_the_health_as_the_image_does():
    check, options = service()["healthcheck"], instruction("HEALTHCHECK").value
    assert check["test"] == ["CMD", *health_command()]
    assert {name: check[name] for name in ("interval", "timeout", "start_period", "retries")} == {
        name.replace("-", "_"): int(text) if text.isdigit() else text
        for name, text in re.findall(r"--([a-z-]+)=(\w+)", options)
    }


def test_compose_takes_every_secret_from_a_file_that_git_does_not_see():
    secrets = compose()["secrets"]
    used = {name for one in compose()["services"].values() for name in one.get("secrets", ())}
    assert used == set(secrets)
    assert {posixpath.dirname(one["file"]) for one in secrets.values()} == {"./secrets"}


@pytest.mark.parametrize("name", ["prometheus", "grafana"])
def test_the_files_that_compose_mounts_are_there(name):
    mounted = [one.split(":")[0] for one in compose()["services"][name]["volumes"] if one.startswith(".")]
    assert mounted
    assert [one for one in mounted if not (DEPLOY / one).exists()] == []


@pytest.mark.parametrize("name", ["prometheus", "grafana"])
def test_the_images_of_others_are_pinned_and_confined(name):
    one = compose()["services"][name]
    assert re.fullmatch(r"\$\{[A-Z]+_IMAGE:-[\w/]+:v?\d+\.\d+\.\d+\}", one["image"])
    assert one["profiles"] == ["monitoring"]
    assert one["cap_drop"] == ["ALL"]
    assert all(port.startswith("127.0.0.1:") for port in one["ports"])


def test_the_database_is_optional_pinned_confined_and_reached_by_the_service_alone():
    one = compose()["services"]["postgres"]
    assert re.fullmatch(r"\$\{POSTGRES_IMAGE:-postgres:\d+\.\d+\}", one["image"])
    assert one["profiles"] == ["postgres"]
    assert one["cap_drop"] == ["ALL"]
    assert "ports" not in one
    assert service()["depends_on"]["postgres"] == {"condition": "service_healthy", "required": False}


def test_the_database_gets_its_password_where_it_looks_and_keeps_its_data():
    one = compose()["services"]["postgres"]
    (secret,) = one["secrets"]
    assert one["environment"]["POSTGRES_PASSWORD_FILE"] == f"/run/secrets/{secret}"
    assert one["volumes"][0].split(":")[0] in compose()["volumes"]


def test_the_file_with_the_password_of_the_store_is_not_seen_by_git():
    assert git("check-ignore", "deploy/.env") == "deploy/.env\n"


def test_the_image_is_named_by_the_version_of_the_package():
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    named = [service()["image"], *(container(f"{name}.yaml")["image"] for name in ("kubernetes", "kubernetes-shared"))]
    named.append(container("kubernetes-routes.yaml", "Job")["image"])
    assert all(image.endswith(f":{version.group(1)}") for image in named)


# --- Prometheus and Grafana -----------------------------------------------------------------------


def scrape_job() -> dict:
    (job,) = yaml.safe_load((DEPLOY / "prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    return job


def test_prometheus_asks_the_service_for_its_metrics_with_a_key():
    job = scrape_job()
    assert job["static_configs"] == [{"targets": [f"synaptoroute:{PORT}"]}]
    assert required_scope("GET", job["metrics_path"]) == "route"
    secret = posixpath.basename(job["authorization"]["credentials_file"])
    assert secret in compose()["services"]["prometheus"]["secrets"]


def test_grafana_finds_prometheus_and_the_dashboard():
    folder = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text(encoding="utf-8"))["datasources"]
    (provider,) = yaml.safe_load((folder / "dashboards" / "synaptoroute.yml").read_text(encoding="utf-8"))["providers"]
    address = urllib.parse.urlsplit(source["url"])
    assert f"127.0.0.1:{address.port}:{address.port}" in compose()["services"][address.hostname]["ports"]
    mounts = dict(one.split(":")[1::-1] for one in compose()["services"]["grafana"]["volumes"])
    assert (DEPLOY / mounts[provider["options"]["path"]] / "synaptoroute.json").exists()
    assert mounts["/etc/grafana/provisioning"] == "./grafana/provisioning"


# --- systemd --------------------------------------------------------------------------------------


def test_systemd_confines_the_service_and_keeps_its_data():
    assert unit()["DynamicUser"] == ["yes"]
    assert unit()["ProtectSystem"] == ["strict"]
    assert unit()["CapabilityBoundingSet"] == [""]
    (folder,) = unit()["StateDirectory"]
    assert environments()["systemd"]["SYNAPTOROUTE_DB"].startswith(f"%S/{folder}/")


def test_systemd_hands_the_keys_over_as_a_credential():
    name = unit()["LoadCredential"][0].split(":")[0]
    assert environments()["systemd"]["SYNAPTOROUTE_KEYS_FILE"] == f"%d/{name}"


# --- the page about it ----------------------------------------------------------------------------

PAGE = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")


def test_the_page_names_settings_that_there_are():
    named = {name.lower() for name in re.findall(r"SYNAPTOROUTE_([A-Z_]+)", PAGE)}
    assert named
    assert named <= set(ServerSettings.model_fields)


def test_the_page_names_files_that_there_are():
    named = set(re.findall(r"(?<![\w/])(?:deploy|docs/grafana)/[\w./-]*\w", PAGE)) | {"Dockerfile"}
    made_by_the_reader = {name for name in named if name.startswith(("deploy/secrets", "deploy/.env"))}
    assert [name for name in sorted(named - made_by_the_reader) if not (ROOT / name).exists()] == []


def nginx(directive: str) -> str:
    (block,) = re.findall(r"```nginx\n(.*?)```", PAGE, re.DOTALL)
    return re.search(rf"^ *{directive} (.+);$", block, re.MULTILINE).group(1)


def test_the_proxy_of_the_page_lets_through_what_the_service_takes_and_waits_for_it():
    settings = ServerSettings()
    assert nginx("client_max_body_size") == f"{settings.max_stream_bytes // 1024**2}m"
    assert seconds(nginx("proxy_read_timeout")) > settings.timeout_s
    assert nginx("server") == f"127.0.0.1:{PORT}"
    assert f"reverse_proxy 127.0.0.1:{PORT}" in PAGE
