"""Kubernetes manifests (issue 5 §3): as the code says, accepted by kubeconform, and safe by what they say."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.kubernetes.manifests import FOLDER, main, port_of
from deploy.local.layout import SERVICES
from shared.contracts.topics import TOPICS
from shared.messaging.kafka import topic_settings

SCHEMAS = FOLDER.parent / "schemas"
LOCATION = f"{SCHEMAS}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"

needs_kubeconform = pytest.mark.skipif(
    shutil.which("kubeconform") is None,
    reason="kubeconform is not installed (go install github.com/yannh/kubeconform/cmd/kubeconform@latest)",
)


def documents() -> list[dict[str, Any]]:
    return [
        document
        for path in sorted(FOLDER.glob("[0-9]*.yaml"))
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    ]


def of_kind(kind: str) -> Iterator[dict[str, Any]]:
    return (each for each in documents() if each["kind"] == kind)


def kubeconform(*paths: Path) -> dict[str, Any]:
    command = ["kubeconform", "-strict", "-summary", "-output", "json", "-schema-location", LOCATION]
    done = subprocess.run(
        [*command, *map(str, paths)], capture_output=True, text=True, timeout=120, check=False
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_files_are_what_the_code_makes() -> None:
    assert main(["--check"]) == 0


def test_a_file_that_differs_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(FOLDER, tmp_path / "manifests")
    monkeypatch.setattr("deploy.kubernetes.manifests.FOLDER", tmp_path / "manifests")
    (tmp_path / "manifests/11-topics.yaml").write_text("---\n", encoding="utf-8")
    assert main(["--check"]) == 1
    assert "11-topics.yaml" in capsys.readouterr().err


@needs_kubeconform
def test_kubeconform_accepts_every_resource() -> None:
    found = kubeconform(*sorted(FOLDER.glob("[0-9]*.yaml")))
    assert found["resources"] == []
    assert found["summary"] == {"valid": len(documents()), "invalid": 0, "errors": 0, "skipped": 0}


@needs_kubeconform
@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("30-registration.yaml", "readinessProbe:", "readynessProbe:"),
        ("10-kafka.yaml", "replicas: 3", "replicas: three"),
        ("11-topics.yaml", "partitions:", "partition:"),
        ("20-databases.yaml", "instances: 3", "instances: -1"),
        ("40-monitoring.yaml", "scrapeTimeout: 4s", "scrapeTimeout: soon"),
        ("40-monitoring.yaml", "jobLabel:", "joblabel:"),
    ],
)
def test_kubeconform_refuses_what_the_engines_would(tmp_path: Path, name: str, good: str, bad: str) -> None:
    """The schemas can refuse: a misspelt field, a wrong type, a value out of range."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert good in text
    (tmp_path / name).write_text(text.replace(good, bad), encoding="utf-8")
    assert kubeconform(tmp_path / name)["summary"]["invalid"] > 0


def test_topics_are_those_of_the_contracts() -> None:
    topics = {each["metadata"]["name"]: each["spec"] for each in of_kind("KafkaTopic")}
    assert set(topics) == {topic.name for topic in TOPICS}
    for topic in TOPICS:
        assert topics[topic.name]["partitions"] == topic.partitions
        assert topics[topic.name]["config"].items() >= topic_settings(topic).items()


def test_every_service_has_both_roles_budgets_probes_and_a_database() -> None:
    deployments = {each["metadata"]["name"]: each for each in of_kind("Deployment")}
    budgets = {each["metadata"]["name"] for each in of_kind("PodDisruptionBudget")}
    assert (
        set(deployments) == budgets == {f"{name}-{role}" for name in SERVICES for role in ("api", "worker")}
    )
    assert {each["metadata"]["name"] for each in of_kind("Cluster")} == {f"{name}-db" for name in SERVICES}
    for name, each in deployments.items():
        [container] = each["spec"]["template"]["spec"]["containers"]
        environment = {entry["name"]: entry.get("value") for entry in container["env"]}
        service, _, role = name.rpartition("-")
        assert environment["LIANGXIAN_ROLES"] == role
        assert environment["LIANGXIAN_PORT"] == str(port_of(service))
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_nothing_runs_as_root_or_with_privileges() -> None:
    for each in of_kind("Deployment"):
        pod = each["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["readOnlyRootFilesystem"] is True
            assert security["capabilities"] == {"drop": ["ALL"]}


def test_no_secret_is_in_a_manifest() -> None:
    assert not list(of_kind("Secret"))
    for each in of_kind("Deployment"):
        [container] = each["spec"]["template"]["spec"]["containers"]
        urls = {entry["name"]: entry for entry in container["env"] if entry["name"].endswith("_URL")}
        assert set(urls) == {"LIANGXIAN_DATABASE_URL", "LIANGXIAN_MIGRATE_URL"}
        assert all("secretKeyRef" in entry["valueFrom"] for entry in urls.values())


def test_a_service_reaches_its_own_database_only() -> None:
    for each in of_kind("NetworkPolicy"):
        name = each["metadata"]["name"]
        if name not in SERVICES:
            continue
        assert set(each["spec"]["policyTypes"]) == {"Ingress", "Egress"}
        peers = [peer for rule in each["spec"]["egress"] for peer in rule["to"]]
        databases = {
            peer["podSelector"]["matchLabels"]["cnpg.io/cluster"]
            for peer in peers
            if "cnpg.io/cluster" in peer.get("podSelector", {}).get("matchLabels", {})
        }
        assert databases == {f"{name}-db"}
