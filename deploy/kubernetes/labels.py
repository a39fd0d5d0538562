"""Names and labels all manifests share."""

from __future__ import annotations

NAMESPACE = "liangxian"
CONFIG = "liangxian"
KEYS = "liangxian-keys"
PART_OF = {"app.kubernetes.io/part-of": "liangxian"}


def selector(*, service: str, role: str = "") -> dict[str, str]:
    """What tells pods of a service, or of one of its roles, from all others."""
    found = {"app.kubernetes.io/name": service}
    return found | {"app.kubernetes.io/component": role} if role else found


def labels(*, service: str = "", role: str = "") -> dict[str, str]:
    """The recommended labels."""
    return PART_OF | (selector(service=service, role=role) if service else {})
