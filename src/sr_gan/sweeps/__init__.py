"""Sweeps: which jobs are finished, and searches in which Optuna proposes the jobs.

This room may import ``metrics``, ``runs``, ``settings`` and the ground floor.
"""
