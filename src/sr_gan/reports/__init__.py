"""Reports on runs, evaluations and mixtures: pages, tables and figures.

This room may import ``images``, ``settings``, ``runs``, ``evaluation`` and the ground floor.
"""
