"""``python -m sr_gan.bench``: how fast the parts are, on this machine."""
