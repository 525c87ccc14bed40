"""SRGAN single-image super-resolution: train, measure and use it (PyTorch Lightning + Hydra)."""

__version__ = "0.1.0"
