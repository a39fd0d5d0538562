"""Grafana: four dashboards, made from code, and their provisioning."""
