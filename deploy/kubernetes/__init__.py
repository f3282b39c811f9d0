"""Pegel on Kubernetes: `base` for kustomize, `components` to choose from, `overlays` to start from; docs/deployment.md.

Two files say what other places define, and are made by `make manifests`: the topics and principals for Strimzi, and
the rules for the Prometheus operator. Tests hold them to their source.
"""
