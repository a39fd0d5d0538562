"""Standalone, strict JSON schemas for kubeconform from Kubernetes' OpenAPI and from CRDs.

Strict: an unknown field is an error, as on a server with strict validation. Descriptions are left out: the schemas are
kept in the repository to be checked against, not to be read. File names are kubeconform's
``{kind}-{group}-{version}.json``, lower case, without the group for the core.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

KINDS = frozenset(
    {
        "ConfigMap",
        "CronJob",
        "Deployment",
        "Job",
        "Namespace",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Secret",
        "Service",
        "ServiceAccount",
    }
)
"""What the manifests use, and what they may well use next."""
PLAIN = frozenset(
    {"type", "format", "enum", "pattern", "minimum", "maximum", "minItems", "maxItems", "required"}
)
REF = "#/definitions/"
INT_OR_STRING = {"oneOf": [{"type": "string"}, {"type": "integer"}]}
ANY_OF_SCALAR = {"oneOf": [{"type": "string"}, {"type": "number"}]}


def main() -> None:
    """Write a schema per kind into a folder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kubernetes", type=Path, required=True)
    parser.add_argument("--crd", type=Path, nargs="+", action="extend", default=[])
    given = parser.parse_args()
    definitions = json.loads(given.kubernetes.read_text(encoding="utf-8"))["definitions"]
    found = dict(native(definitions))
    for path in given.crd:
        found |= custom(yaml.safe_load(path.read_text(encoding="utf-8")))
    for name, schema in sorted(found.items()):
        text = json.dumps(schema, sort_keys=True, separators=(",", ":"))
        (given.folder / name).write_text(text + "\n", encoding="utf-8")


def file_name(kind: str, group: str, version: str) -> str:
    """As kubeconform asks for it with ``{{.ResourceKind}}{{.KindSuffix}}.json``."""
    parts = [kind, group.partition(".")[0], version] if group else [kind, version]
    return "-".join(parts).lower() + ".json"


def native(definitions: Mapping[str, Any]) -> dict[str, Any]:
    """The kinds of Kubernetes itself, references resolved."""
    found = {}
    for definition in definitions.values():
        for each in definition.get("x-kubernetes-group-version-kind", ()):
            stable = "alpha" not in each["version"] and "beta" not in each["version"]
            if each["kind"] in KINDS and stable:
                schema = resolved(definition, definitions)
                schema["properties"]["apiVersion"] = {
                    "const": "/".join(filter(None, (each["group"], each["version"])))
                }
                schema["properties"]["kind"] = {"const": each["kind"]}
                schema["required"] = sorted({*schema.get("required", ()), "apiVersion", "kind", "metadata"})
                found[file_name(each["kind"], each["group"], each["version"])] = schema
    return found


def resolved(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """A definition by itself. JSON schemas of CRDs, which refer to themselves, are not among our kinds."""
    reference = node.get("$ref", "")
    if reference:
        name = reference.removeprefix(REF)
        if name.endswith(".IntOrString"):
            return dict(INT_OR_STRING)
        if name.endswith(".Quantity"):
            return dict(ANY_OF_SCALAR)
        return resolved(definitions[name], definitions)
    schema = {
        key: node[key]
        for key in PLAIN & node.keys()
        if not (key == "format" and node[key] == "int-or-string")
    }
    if node.get("format") == "int-or-string":
        return dict(INT_OR_STRING)
    if "items" in node:
        schema["items"] = resolved(node["items"], definitions)
    if "properties" in node:
        schema["properties"] = {
            name: resolved(each, definitions) for name, each in node["properties"].items()
        }
        schema["additionalProperties"] = False
    elif isinstance(node.get("additionalProperties"), Mapping):
        schema["additionalProperties"] = resolved(node["additionalProperties"], definitions)
    return schema


def custom(crd: Mapping[str, Any]) -> dict[str, Any]:
    """The served versions of a CRD."""
    found = {}
    group, kind = crd["spec"]["group"], crd["spec"]["names"]["kind"]
    for version in crd["spec"]["versions"]:
        if version["served"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            schema["properties"] |= {
                "apiVersion": {"const": f"{group}/{version['name']}"},
                "kind": {"const": kind},
                "metadata": {"type": "object"},
            }
            schema["required"] = sorted(
                {*schema.get("required", ()), "apiVersion", "kind", "metadata", "spec"}
            )
            found[file_name(kind, group, version["name"])] = schema
    return found


def strict(node: Mapping[str, Any]) -> dict[str, Any]:
    """A structural schema as JSON schema."""
    if node.get("x-kubernetes-int-or-string"):
        return dict(INT_OR_STRING)
    schema = {key: node[key] for key in PLAIN & node.keys()}
    for key in ("oneOf", "anyOf", "allOf"):
        if key in node:
            schema[key] = [{name: each[name] for name in ("required",) if name in each} for each in node[key]]
    if "items" in node:
        schema["items"] = strict(node["items"])
    if "properties" in node:
        schema["properties"] = {name: strict(each) for name, each in node["properties"].items()}
        schema["additionalProperties"] = bool(node.get("x-kubernetes-preserve-unknown-fields"))
    elif isinstance(node.get("additionalProperties"), Mapping):
        schema["additionalProperties"] = strict(node["additionalProperties"])
    return schema


if __name__ == "__main__":
    main()
