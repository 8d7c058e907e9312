"""Metrics, protocols and benchmarks, each written once."""
