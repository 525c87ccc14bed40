"""Finds out which jobs of a sweep are finished, and runs searches whose jobs Optuna proposes.

This room may import ``metrics``, ``runs``, ``settings`` and the ground floor.
"""
