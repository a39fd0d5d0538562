"""Schemas of the manifests, made from the engines' releases (make.sh)."""
