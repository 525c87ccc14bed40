"""Checks that this machine and this folder are fit for the package: ``python -m sr_gan.doctor``.

This room is a command, and no other room imports it.
"""
