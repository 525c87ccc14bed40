"""Enlarges images and image files of any size: loads models, runs them on tiles, refines results.

This room may import ``images``, ``settings``, ``models``, ``networks``, ``runs``, ``metrics`` and
the ground floor.
"""
