"""Measures a model on a folder of photographs."""
