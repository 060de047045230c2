"""Benchmarks: side by side, in one process, never a timed test."""
