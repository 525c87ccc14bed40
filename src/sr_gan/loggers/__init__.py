"""Where a run's curves, pictures and settings go; each takes ``log_image`` as Weights & Biases'."""

from sr_gan.loggers.mlflow import MLflow
from sr_gan.loggers.tensorboard import TensorBoard
from sr_gan.loggers.wandb import WandB

__all__ = ["MLflow", "TensorBoard", "WandB"]
