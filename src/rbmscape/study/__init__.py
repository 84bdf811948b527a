"""Sizes times replicas: plan, execute, collect."""
