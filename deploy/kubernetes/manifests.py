"""``python -m deploy.kubernetes.manifests [--check]``: writes the manifests, so that nothing can differ from the code.

Topics come from ``shared.contracts.topics`` and services from the list of services; one shape for all four.
``--check`` writes nothing and ends with 1 when a file differs. Addresses and passwords are in no file: the Secrets
they come from are named in README.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from deploy.generated import write_or_compare
from deploy.kubernetes import engines
from deploy.kubernetes.labels import CONFIG, KEYS, NAMESPACE, PART_OF, labels, selector
from deploy.local.layout import DEFAULT_PORT_BASE, SERVICES

FOLDER = Path(__file__).parent / "manifests"
IMAGE = "liangxian:dev"
KEYS_PATH = "/run/liangxian/keys"
USER = 10001
ROLES = ("api", "worker")
REPLICAS = {"api": 2, "worker": 2}
GRACE_SECONDS = 60

Document = Mapping[str, Any]


def port_of(service: str) -> int:
    """The port of the interfaces: 8101 registration and so on."""
    return DEFAULT_PORT_BASE + SERVICES.index(service)


def config() -> list[Document]:
    """The namespace and the settings all processes share."""
    data = {
        "LIANGXIAN_BROKER": "kafka",
        "LIANGXIAN_BROKER_URL": f"{engines.KAFKA}-kafka-bootstrap:9092",
        "LIANGXIAN_HOST": "0.0.0.0",
        "LIANGXIAN_ISSUER_URL": "https://issuer.example.org",
        "LIANGXIAN_LOG_LEVEL": "INFO",
        "LIANGXIAN_REHEARSAL": "0",
        "LIANGXIAN_TRACES_SHARE": "0.01",
        "LIANGXIAN_TRACES_URL": "",
    }
    levels = {"enforce": "baseline", "warn": "restricted"}
    restricted = {f"pod-security.kubernetes.io/{mode}": level for mode, level in levels.items()}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": restricted}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(CONFIG), "data": data},
    ]


def metadata(name: str, **more: str) -> dict[str, Any]:
    """Name, namespace and labels."""
    return {"name": name, "namespace": NAMESPACE, "labels": labels(**more)}


def service(name: str) -> list[Document]:
    """Both roles of a service, its address, its budgets and who may talk to it."""
    documents: list[Document] = [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata(name, service=name, role="api"),
            "spec": {
                "selector": selector(service=name, role="api"),
                "ports": [{"name": "http", "port": port_of(name), "targetPort": "http"}],
            },
        }
    ]
    for role in ROLES:
        documents += [deployment(name, role), budget(name, role)]
    return [*documents, *policies(name)]


def deployment(name: str, role: str) -> Document:
    """One process a pod: one event loop, one writer."""
    own = selector(service=name, role=role)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(f"{name}-{role}", service=name, role=role),
        "spec": {
            "replicas": REPLICAS[role],
            "selector": {"matchLabels": own},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {
                "metadata": {
                    "labels": labels(service=name, role=role),
                    "annotations": {
                        "prometheus.io/scrape": "true",
                        "prometheus.io/port": str(port_of(name)),
                        "prometheus.io/path": "/metrics",
                    },
                },
                "spec": pod(name, role, own),
            },
        },
    }


def pod(name: str, role: str, own: Mapping[str, str]) -> dict[str, Any]:
    """Restricted: no root, no privileges, nothing written but /tmp."""
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": dict(own)},
            }
        ],
        "containers": [container(name, role)],
        "volumes": [
            {"name": "keys", "secret": {"secretName": KEYS, "defaultMode": 0o440}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "2Gi"}},
        ],
    }


def container(name: str, role: str) -> dict[str, Any]:
    """``python -m services.<name>``. Readiness is ``/readyz``; liveness only that the process answers."""
    settings = {
        "LIANGXIAN_ROLES": role,
        "LIANGXIAN_PORT": str(port_of(name)),
        "LIANGXIAN_KEYS": f"{KEYS_PATH}/keys.json",
    }
    secrets = {
        "LIANGXIAN_DATABASE_URL": (engines.service_secret(name), "uri"),
        "LIANGXIAN_MIGRATE_URL": (engines.owner_secret(name), "uri"),
    }
    return {
        "name": name,
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-m", f"services.{name}"],
        "envFrom": [{"configMapRef": {"name": CONFIG}}],
        "env": [
            *({"name": key, "value": value} for key, value in settings.items()),
            *(
                {"name": key, "valueFrom": {"secretKeyRef": {"name": secret, "key": entry}}}
                for key, (secret, entry) in secrets.items()
            ),
        ],
        "ports": [{"name": "http", "containerPort": port_of(name)}],
        "startupProbe": probe("/healthz", period=2, failures=90),
        "readinessProbe": probe("/readyz", period=5, failures=2),
        "livenessProbe": probe("/healthz", period=10, failures=6),
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
        "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "keys", "mountPath": KEYS_PATH, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }


def probe(path: str, *, period: int, failures: int) -> dict[str, Any]:
    """An HTTP probe on the service's port; seconds."""
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def budget(name: str, role: str) -> Document:
    """A drained node takes one pod of a role at a time."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(f"{name}-{role}", service=name, role=role),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": selector(service=name, role=role)}},
    }


def policies(name: str) -> list[Document]:
    """In: the gateway (API only) and Prometheus. Out: the own database, Kafka, DNS, the issuer and the traces'
    collector, nothing else."""
    http = [{"port": "http", "protocol": "TCP"}]

    def namespaced(value: str) -> dict[str, Any]:
        return {"namespaceSelector": {"matchLabels": {"liangxian.io/access": value}}}

    return [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": metadata(name, service=name),
            "spec": {
                "podSelector": {"matchLabels": selector(service=name)},
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [{"from": [namespaced("monitoring")], "ports": http}],
                "egress": [
                    {"to": [{"podSelector": engines.database_pods(name)}], "ports": [{"port": 5432}]},
                    {"to": [{"podSelector": engines.kafka_pods()}], "ports": [{"port": 9092}]},
                    {
                        "to": [
                            {
                                "namespaceSelector": {
                                    "matchLabels": {"kubernetes.io/metadata.name": "kube-system"}
                                }
                            }
                        ],
                        "ports": [{"port": 53, "protocol": each} for each in ("UDP", "TCP")],
                    },
                    {"to": [namespaced("issuer")], "ports": [{"port": 443}]},
                    {"to": [namespaced("monitoring")], "ports": [{"port": 4318}]},
                ],
            },
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": metadata(f"{name}-api", service=name, role="api"),
            "spec": {
                "podSelector": {"matchLabels": selector(service=name, role="api")},
                "policyTypes": ["Ingress"],
                "ingress": [{"from": [namespaced("gateway")], "ports": http}],
            },
        },
    ]


def monitoring() -> list[Document]:
    """For the Prometheus operator: every process, under the job the rules of deploy/prometheus ask for.

    The job is taken from a label of the pods. A ServiceMonitor would take the label ``service`` for itself and rename
    that of our metrics.
    """
    [label] = PART_OF
    return [
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PodMonitor",
            "metadata": metadata("liangxian"),
            "spec": {
                "jobLabel": label,
                "selector": {"matchLabels": PART_OF},
                "podMetricsEndpoints": [
                    {"port": "http", "path": "/metrics", "interval": "5s", "scrapeTimeout": "4s"}
                ],
            },
        }
    ]


def files() -> dict[str, str]:
    """File name -> text. What needs an operator of its own (monitoring) is not among kustomize's resources."""
    documents: dict[str, Sequence[Document]] = {
        "00-config.yaml": config(),
        "10-kafka.yaml": engines.kafka(),
        "11-topics.yaml": engines.topics(),
        "20-databases.yaml": [each for name in SERVICES for each in engines.database(name)],
    }
    documents |= {f"3{number}-{name}.yaml": service(name) for number, name in enumerate(SERVICES)}
    found = {name: text_of(each) for name, each in documents.items()}
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(found),
    }
    return found | {
        "kustomization.yaml": text_of([kustomization]),
        "40-monitoring.yaml": text_of(monitoring()),
    }


def text_of(documents: Sequence[Document]) -> str:
    """YAML with the remark where it comes from; plain copies instead of anchors."""
    plain = json.loads(json.dumps(documents))
    head = "# Made by `python -m deploy.kubernetes.manifests`; change that, not this.\n"
    return head + yaml.safe_dump_all(
        plain, sort_keys=False, allow_unicode=True, width=110, explicit_start=True
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Write, or compare."""
    return write_or_compare("Kubernetes 清单 / manifests", FOLDER, "*.yaml", files(), arguments)


if __name__ == "__main__":
    sys.exit(main())
