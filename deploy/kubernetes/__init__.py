"""Kubernetes manifests: the topics are made from the contracts."""
