"""``python -m sr_gan.bench``: how fast the package is on this machine.

This room may import every other room, but none of the commands. It measures our code only: the
studies in experiments/ compare it with other ways.
"""
