"""The engines: Kafka by Strimzi, a PostgreSQL of each service by CloudNativePG.

Roles are those of one machine (deploy/local/provisioning.py): the owner migrates, the service's role runs, the
auditor reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deploy.kubernetes.labels import NAMESPACE, labels
from shared.contracts.topics import TOPICS
from shared.messaging.kafka import topic_settings

KAFKA = "liangxian"
KAFKA_VERSION = "4.3.0"
BROKERS = 3
INSTANCES = 3
POSTGRES = "ghcr.io/cloudnative-pg/postgresql:18"
AUDITOR = "auditor"
CNPG_NAMESPACE = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "cnpg-system"}}}
MONITORING = {"namespaceSelector": {"matchLabels": {"liangxian.io/access": "monitoring"}}}

Document = Mapping[str, Any]


def kafka_pods() -> dict[str, Any]:
    """Selects the brokers."""
    return {"matchLabels": {"strimzi.io/cluster": KAFKA, "strimzi.io/kind": "Kafka"}}


def kafka() -> list[Document]:
    """Three brokers that are controllers too (KRaft); a message counts once two have it. No topic makes itself."""
    pool = {
        "apiVersion": "kafka.strimzi.io/v1",
        "kind": "KafkaNodePool",
        "metadata": {
            "name": "brokers",
            "namespace": NAMESPACE,
            "labels": labels() | {"strimzi.io/cluster": KAFKA},
        },
        "spec": {
            "replicas": BROKERS,
            "roles": ["controller", "broker"],
            "resources": {"requests": {"cpu": "500m", "memory": "2Gi"}, "limits": {"memory": "2Gi"}},
            "storage": {
                "type": "jbod",
                "volumes": [
                    {
                        "id": 0,
                        "type": "persistent-claim",
                        "size": "100Gi",
                        "deleteClaim": False,
                        "kraftMetadata": "shared",
                    }
                ],
            },
        },
    }
    cluster = {
        "apiVersion": "kafka.strimzi.io/v1",
        "kind": "Kafka",
        "metadata": {"name": KAFKA, "namespace": NAMESPACE, "labels": labels()},
        "spec": {
            "kafka": {
                "version": KAFKA_VERSION,
                "listeners": [
                    {
                        "name": "plain",
                        "port": 9092,
                        "type": "internal",
                        "tls": False,
                        "networkPolicyPeers": [{"podSelector": {"matchLabels": labels()}}],
                    }
                ],
                "config": {
                    "auto.create.topics.enable": False,
                    "default.replication.factor": BROKERS,
                    "min.insync.replicas": 2,
                    "offsets.topic.replication.factor": BROKERS,
                    "transaction.state.log.replication.factor": BROKERS,
                    "transaction.state.log.min.isr": 2,
                    "unclean.leader.election.enable": False,
                },
            },
            "entityOperator": {"topicOperator": {}},
        },
    }
    return [pool, cluster]


def topics() -> list[Document]:
    """Every topic of the contracts, with the settings the broker adapter would give it."""
    return [
        {
            "apiVersion": "kafka.strimzi.io/v1",
            "kind": "KafkaTopic",
            "metadata": {
                "name": topic.name,
                "namespace": NAMESPACE,
                "labels": labels() | {"strimzi.io/cluster": KAFKA},
            },
            "spec": {
                "partitions": topic.partitions,
                "replicas": BROKERS,
                "config": topic_settings(topic) | {"min.insync.replicas": "2"},
            },
        }
        for topic in sorted(TOPICS, key=lambda each: each.name)
    ]


def cluster_name(service: str) -> str:
    """The CloudNativePG cluster of a service."""
    return f"{service}-db"


def owner_secret(service: str) -> str:
    """Made by the operator; its ``uri`` is the owner's address."""
    return f"{cluster_name(service)}-app"


def service_secret(service: str) -> str:
    """Made by you: ``username``, ``password`` and ``uri`` of the role that runs."""
    return f"{cluster_name(service)}-service"


def auditor_secret(service: str) -> str:
    """Made by you: ``username`` and ``password`` of the read-only role."""
    return f"{cluster_name(service)}-auditor"


def database_pods(service: str) -> dict[str, Any]:
    """Selects the instances of a service's database."""
    return {"matchLabels": {"cnpg.io/cluster": cluster_name(service)}}


def database(service: str) -> list[Document]:
    """A cluster of its own with one synchronous standby, and who may reach it."""
    return [cluster(service), database_policy(service)]


def cluster(service: str) -> Document:
    """Commits wait for one standby: an accepted payment survives the loss of a node."""
    return {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Cluster",
        "metadata": {"name": cluster_name(service), "namespace": NAMESPACE, "labels": labels()},
        "spec": {
            "instances": INSTANCES,
            "imageName": POSTGRES,
            "storage": {"size": "50Gi"},
            "walStorage": {"size": "10Gi"},
            "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
            "enablePDB": True,
            "affinity": {"enablePodAntiAffinity": True, "topologyKey": "kubernetes.io/hostname"},
            "postgresql": {
                "parameters": {
                    "max_connections": "200",
                    "max_wal_size": "4GB",
                    "min_wal_size": "2GB",
                    "random_page_cost": "1.1",
                    "shared_buffers": "256MB",
                },
                "synchronous": {"method": "any", "number": 1, "dataDurability": "required"},
            },
            "bootstrap": {
                "initdb": {
                    "database": service,
                    "owner": f"{service}_owner",
                    "postInitApplicationSQL": roles_of(service),
                }
            },
            "managed": {
                "roles": [
                    role(service, service_secret(service)),
                    role(AUDITOR, auditor_secret(service), "pg_read_all_data"),
                ]
            },
        },
    }


def role(name: str, secret: str, *within: str) -> dict[str, Any]:
    """A role whose password the operator takes from a Secret. within: roles it is a member of; the operator
    takes away every other membership."""
    return {
        "name": name,
        "ensure": "present",
        "login": True,
        "inherit": True,
        "passwordSecret": {"name": secret},
        **({"inRoles": list(within)} if within else {}),
    }


def roles_of(service: str) -> list[str]:
    """Rights as on one machine: the service may use what the owner makes, the auditor reads."""
    owner = f"{service}_owner"
    own = f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT"
    return [
        f"CREATE ROLE {service} LOGIN",
        f"CREATE ROLE {AUDITOR} LOGIN",
        f"REVOKE ALL ON DATABASE {service} FROM PUBLIC",
        f"GRANT CONNECT, TEMPORARY, CREATE ON DATABASE {service} TO {service}",
        f"GRANT CONNECT ON DATABASE {service} TO {AUDITOR}",
        f"GRANT pg_read_all_data TO {AUDITOR}",
        f"ALTER SCHEMA public OWNER TO {owner}",
        f"GRANT USAGE ON SCHEMA public TO {service}",
        f"{own} SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON TABLES TO {service}",
        f"{own} USAGE, SELECT ON SEQUENCES TO {service}",
    ]


def database_policy(service: str) -> Document:
    """In: the service, its own instances, the operator and Prometheus."""
    own = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": service}}}
    instances = {"podSelector": database_pods(service)}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": cluster_name(service), "namespace": NAMESPACE, "labels": labels()},
        "spec": {
            "podSelector": database_pods(service),
            "policyTypes": ["Ingress"],
            "ingress": [
                {"from": [own], "ports": [{"port": 5432}]},
                {"from": [instances], "ports": [{"port": 5432}, {"port": 8000}]},
                {"from": [CNPG_NAMESPACE], "ports": [{"port": 5432}, {"port": 8000}]},
                {"from": [MONITORING], "ports": [{"port": 9187}]},
            ],
        },
    }
