"""The objects for Kubernetes agree with the image, the service and each other."""

import posixpath
import re
from collections.abc import Iterator

import pytest
from deployed import container, environments, health_command, image_environment, instruction, kubernetes, pod

from synaptoroute_core import AdaptiveRouter, ConfigurationError, HashingEncoder, Route
from synaptoroute_integrations.server import ServerSettings, create_app
from synaptoroute_integrations.server.auth import parse_keys, required_scope

PORT = image_environment()["SYNAPTOROUTE_PORT"]
USER, GROUP = (int(part) for part in instruction("USER").value.split(":"))


def annotations() -> dict[str, str]:
    return kubernetes("Deployment")["spec"]["template"]["metadata"]["annotations"]


@pytest.fixture(scope="module")
def paths() -> Iterator[set[str]]:
    """The paths that the service really serves."""
    with AdaptiveRouter([Route("refund", ["money back"])], encoder=HashingEncoder()) as router:
        yield set(create_app(ServerSettings(), router=router).openapi()["paths"])


@pytest.mark.parametrize(
    ("probe", "path"),
    [("startupProbe", "/health/ready"), ("livenessProbe", "/health/live"), ("readinessProbe", "/health/ready")],
)
def test_the_probes_ask_what_the_service_answers_without_a_key(probe, path, paths):
    request = container()[probe]["httpGet"]
    assert request == {"path": path, "port": "http"}
    assert path in paths
    assert required_scope("GET", path) is None


def test_the_health_check_of_the_image_asks_what_the_service_answers_without_a_key(paths):
    path = re.search(r"/health/\w+", health_command()[-1]).group()
    assert path in paths
    assert required_scope("GET", path) is None


def test_the_ports_of_the_pod_its_service_and_its_annotations_agree():
    assert container()["ports"] == [{"name": "http", "containerPort": int(PORT)}]
    (port,) = kubernetes("Service")["spec"]["ports"]
    assert port["targetPort"] == "http"
    assert annotations()["prometheus.io/port"] == PORT
    (allowed,) = kubernetes("NetworkPolicy")["spec"]["ingress"]
    assert allowed["ports"] == [{"port": "http"}]


def test_the_metrics_are_where_the_annotations_say(paths):
    assert annotations()["prometheus.io/path"] in paths


def test_everything_selects_the_pods_of_the_deployment():
    spec = kubernetes("Deployment")["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"] == labels
    assert kubernetes("Service")["spec"]["selector"] == labels
    assert kubernetes("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == labels


def test_one_pod_at_a_time_has_the_file():
    spec = kubernetes("Deployment")["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}
    assert kubernetes("PersistentVolumeClaim")["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_kubernetes_confines_the_service():
    assert pod()["securityContext"]["runAsNonRoot"] is True
    assert pod()["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod()["automountServiceAccountToken"] is False
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container()["resources"]["limits"]["memory"]
    assert kubernetes("NetworkPolicy")["spec"]["egress"] == []


def test_kubernetes_runs_the_service_as_the_user_of_the_image():
    context = pod()["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (USER, GROUP, GROUP)


def test_the_pod_mounts_what_the_service_reads_and_writes():
    mounts = {one["mountPath"]: one["name"] for one in container()["volumeMounts"]}
    volumes = {one["name"]: one for one in pod()["volumes"]}
    assert set(mounts.values()) == set(volumes)
    settings = ServerSettings.from_environment(environments()["kubernetes"])
    claim = volumes[mounts[posixpath.dirname(settings.db)]]["persistentVolumeClaim"]["claimName"]
    assert claim == kubernetes("PersistentVolumeClaim")["metadata"]["name"]
    assert "emptyDir" in volumes[mounts["/tmp"]]  # noqa: S108  # in the container


def test_the_keys_come_from_a_secret_that_the_group_of_the_service_may_read():
    folder, file = posixpath.split(environments()["kubernetes"]["SYNAPTOROUTE_KEYS_FILE"])
    (mount,) = [one for one in container()["volumeMounts"] if one["mountPath"] == folder]
    (volume,) = [one for one in pod()["volumes"] if one["name"] == mount["name"]]
    example = kubernetes("Secret", "kubernetes-keys.example.yaml")
    assert mount["readOnly"] is True
    assert volume["secret"] == {"secretName": example["metadata"]["name"], "defaultMode": 0o440}
    assert file in example["stringData"]


def test_the_example_of_a_secret_opens_nothing():
    text = kubernetes("Secret", "kubernetes-keys.example.yaml")["stringData"]["keys"]
    with pytest.raises(ConfigurationError, match="no key"):
        parse_keys(text.splitlines(), "the example")


def test_the_variables_of_the_service_object_are_kept_from_the_service():
    """Kubernetes would set SYNAPTOROUTE_PORT to an address, and others that are no settings."""
    assert pod()["enableServiceLinks"] is False
    name = kubernetes("Service")["metadata"]["name"].upper()
    with pytest.raises(ConfigurationError):
        ServerSettings.from_environment({f"{name}_PORT": f"tcp://10.0.0.1:{PORT}"})
