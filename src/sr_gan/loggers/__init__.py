"""The loggers of a run's curves, pictures and settings.

Each has a method ``log_image`` like that of Weights & Biases.

This room may import only the ground floor.
"""

from sr_gan.loggers.mlflow import MLflow
from sr_gan.loggers.tensorboard import TensorBoard
from sr_gan.loggers.wandb import WandB

__all__ = ["MLflow", "TensorBoard", "WandB"]
