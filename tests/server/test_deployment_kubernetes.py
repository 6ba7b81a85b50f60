"""The objects for Kubernetes agree with the image, the service and each other, with one pod and with several."""

import posixpath
import re
from collections.abc import Iterator

import pytest
from deployed import (
    container,
    environments,
    health_command,
    image_environment,
    instruction,
    kubernetes,
    pod,
    variables,
)
from typer.testing import CliRunner

from synaptoroute_core import AdaptiveRouter, ConfigurationError, HashingEncoder, Route
from synaptoroute_integrations.addresses import is_url
from synaptoroute_integrations.cli.commands import app
from synaptoroute_integrations.server import ServerSettings, create_app
from synaptoroute_integrations.server.auth import parse_keys, required_scope

PORT = image_environment()["SYNAPTOROUTE_PORT"]
USER, GROUP = (int(part) for part in instruction("USER").value.split(":"))
ALONE, SHARED, ROUTES = "kubernetes.yaml", "kubernetes-shared.yaml", "kubernetes-routes.yaml"
BY_FILE = pytest.mark.parametrize("file", [ALONE, SHARED])


def annotations(file: str) -> dict[str, str]:
    return kubernetes("Deployment", file)["spec"]["template"]["metadata"]["annotations"]


@pytest.fixture(scope="module")
def paths() -> Iterator[set[str]]:
    """The paths that the service really serves."""
    with AdaptiveRouter([Route("refund", ["money back"])], encoder=HashingEncoder()) as router:
        yield set(create_app(ServerSettings(), router=router).openapi()["paths"])


@BY_FILE
@pytest.mark.parametrize(
    ("probe", "path"),
    [("startupProbe", "/health/ready"), ("livenessProbe", "/health/live"), ("readinessProbe", "/health/ready")],
)
def test_the_probes_ask_what_the_service_answers_without_a_key(file, probe, path, paths):
    request = container(file)[probe]["httpGet"]
    assert request == {"path": path, "port": "http"}
    assert path in paths
    assert required_scope("GET", path) is None


def test_the_health_check_of_the_image_asks_what_the_service_answers_without_a_key(paths):
    path = re.search(r"/health/\w+", health_command()[-1]).group()
    assert path in paths
    assert required_scope("GET", path) is None


@BY_FILE
def test_the_ports_of_the_pod_its_service_and_its_annotations_agree(file):
    assert container(file)["ports"] == [{"name": "http", "containerPort": int(PORT)}]
    (port,) = kubernetes("Service", file)["spec"]["ports"]
    assert port["targetPort"] == "http"
    assert annotations(file)["prometheus.io/port"] == PORT
    (allowed,) = kubernetes("NetworkPolicy", file)["spec"]["ingress"]
    assert allowed["ports"] == [{"port": "http"}]


@BY_FILE
def test_the_metrics_are_where_the_annotations_say(file, paths):
    assert annotations(file)["prometheus.io/path"] in paths


@BY_FILE
def test_everything_selects_the_pods_of_the_deployment(file):
    spec = kubernetes("Deployment", file)["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"] == labels
    assert kubernetes("Service", file)["spec"]["selector"] == labels
    assert kubernetes("NetworkPolicy", file)["spec"]["podSelector"]["matchLabels"] == labels


def test_one_pod_at_a_time_has_the_file():
    spec = kubernetes("Deployment")["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}
    assert kubernetes("PersistentVolumeClaim")["spec"]["accessModes"] == ["ReadWriteOnce"]


@pytest.mark.parametrize(("file", "kind"), [(ALONE, "Deployment"), (SHARED, "Deployment"), (ROUTES, "Job")])
def test_kubernetes_confines_the_program_and_runs_it_as_the_user_of_the_image(file, kind):
    context, one = pod(file, kind)["securityContext"], container(file, kind)
    assert context["runAsNonRoot"] is True
    assert (context["runAsUser"], context["runAsGroup"]) == (USER, GROUP)
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod(file, kind)["automountServiceAccountToken"] is False
    assert one["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert one["resources"]["limits"]["memory"]


def test_one_pod_with_a_file_opens_no_connection():
    assert kubernetes("NetworkPolicy")["spec"]["egress"] == []


@BY_FILE
def test_the_service_may_read_what_is_mounted(file):
    assert pod(file)["securityContext"]["fsGroup"] == GROUP


def test_the_pod_mounts_what_the_service_reads_and_writes():
    mounts = {one["mountPath"]: one["name"] for one in container()["volumeMounts"]}
    volumes = {one["name"]: one for one in pod()["volumes"]}
    assert set(mounts.values()) == set(volumes)
    settings = ServerSettings.from_environment(environments()["kubernetes"])
    claim = volumes[mounts[posixpath.dirname(settings.db)]]["persistentVolumeClaim"]["claimName"]
    assert claim == kubernetes("PersistentVolumeClaim")["metadata"]["name"]
    assert "emptyDir" in volumes[mounts["/tmp"]]  # noqa: S108  # in the container


@BY_FILE
def test_the_keys_come_from_a_secret_that_the_group_of_the_service_may_read(file):
    folder, name = posixpath.split(variables(file)["SYNAPTOROUTE_KEYS_FILE"])
    (mount,) = [one for one in container(file)["volumeMounts"] if one["mountPath"] == folder]
    (volume,) = [one for one in pod(file)["volumes"] if one["name"] == mount["name"]]
    example = kubernetes("Secret", "kubernetes-keys.example.yaml")
    assert mount["readOnly"] is True
    assert volume["secret"] == {"secretName": example["metadata"]["name"], "defaultMode": 0o440}
    assert name in example["stringData"]


def test_the_example_of_a_secret_opens_nothing():
    text = kubernetes("Secret", "kubernetes-keys.example.yaml")["stringData"]["keys"]
    with pytest.raises(ConfigurationError, match="no key"):
        parse_keys(text.splitlines(), "the example")


@BY_FILE
def test_the_variables_of_the_service_object_are_kept_from_the_service(file):
    """Kubernetes would set SYNAPTOROUTE_PORT to an address, and others that are no settings."""
    assert pod(file)["enableServiceLinks"] is False
    name = kubernetes("Service", file)["metadata"]["name"].upper()
    with pytest.raises(ConfigurationError):
        ServerSettings.from_environment({f"{name}_PORT": f"tcp://10.0.0.1:{PORT}"})


# --- several pods ---------------------------------------------------------------------------------


def test_several_pods_share_a_database_whose_url_is_a_secret():
    spec = kubernetes("Deployment", SHARED)["spec"]
    assert spec["replicas"] >= 3
    (entry,) = [one for one in container(SHARED)["env"] if one["name"] == "SYNAPTOROUTE_DB"]
    assert "value" not in entry
    settings = ServerSettings.from_environment(environments()["kubernetes-shared"])
    assert is_url(settings.db)
    assert settings.max_staleness_s == ServerSettings().max_staleness_s


def test_the_example_of_the_store_leads_nowhere():
    assert ".invalid:" in kubernetes("Secret", "kubernetes-store.example.yaml")["stringData"]["url"]


def test_a_new_version_and_an_emptied_node_leave_pods_that_answer():
    spec = kubernetes("Deployment", SHARED)["spec"]
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    budget = kubernetes("PodDisruptionBudget", SHARED)["spec"]
    assert budget["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    assert 0 < budget["minAvailable"] < spec["replicas"]


def test_several_pods_are_not_all_on_one_machine_or_in_one_zone():
    labels = kubernetes("Deployment", SHARED)["spec"]["template"]["metadata"]["labels"]
    constraints = pod(SHARED)["topologySpreadConstraints"]
    assert {one["topologyKey"] for one in constraints} == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
    assert all(one["labelSelector"]["matchLabels"] == labels for one in constraints)


def test_several_pods_reach_names_and_the_database_and_nothing_else():
    (rule,) = kubernetes("NetworkPolicy", SHARED)["spec"]["egress"]
    port = ServerSettings.from_environment(environments()["kubernetes-shared"]).db.rpartition(":")[2].partition("/")[0]
    assert sorted({one["port"] for one in rule["ports"]}) == [53, int(port)]


# --- a new version of the routes ------------------------------------------------------------------


def test_the_job_puts_its_routes_into_the_store_that_the_pods_read(tmp_path):
    """Its command, with a file in the place of the database."""
    one = container(ROUTES, "Job")
    assert variables(ROUTES, "Job")["SYNAPTOROUTE_DB"] == variables(SHARED)["SYNAPTOROUTE_DB"]
    (mount,) = [each for each in one["volumeMounts"] if each["name"] == "routes"]
    for name, text in kubernetes("ConfigMap", ROUTES)["data"].items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    places = {f"{mount['mountPath']}/routes.yaml": f"{tmp_path}/routes.yaml"}
    program, *arguments = (places.get(word, word) for word in one["command"])
    assert program == "synaptoroute"
    done = CliRunner().invoke(app, arguments, env={"SYNAPTOROUTE_DB": f"{tmp_path}/routes.sqlite"})
    assert done.exit_code == 0, done.output
    assert "imported 2 routes" in done.stdout


@pytest.mark.parametrize(("file", "kind"), [(SHARED, "Deployment"), (ROUTES, "Job")])
def test_the_url_of_the_store_is_in_no_command_which_all_on_the_node_can_read(file, kind):
    one = container(file, kind)
    words = [*one.get("command", ()), *one.get("args", ())]
    assert [word for word in words if word.startswith("--db") or "$(" in word] == []
    assert "SYNAPTOROUTE_DB" in variables(file, kind)


def test_a_job_that_gets_no_answer_ends():
    assert kubernetes("Job", ROUTES)["spec"]["activeDeadlineSeconds"] <= 600


def test_the_pod_of_the_job_gets_no_queries_and_finds_its_routes():
    spec = kubernetes("Job", ROUTES)["spec"]
    assert spec["template"]["metadata"]["labels"] != kubernetes("Service", SHARED)["spec"]["selector"]
    (volume,) = [one for one in pod(ROUTES, "Job")["volumes"] if one["name"] == "routes"]
    assert volume["configMap"]["name"] == kubernetes("ConfigMap", ROUTES)["metadata"]["name"]
