"""Enlarges images and image files of any size: loads models, runs them on tiles, and refines."""
