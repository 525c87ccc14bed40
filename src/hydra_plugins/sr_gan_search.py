"""``hydra/sweeper=optuna``. It lies here as Hydra takes plugins from this namespace only."""

from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class OptunaSweeper(Sweeper):
    """Hydra's side of :func:`sr_gan.sweeps.search.search`, which says what ``settings`` are.

    Args:
        params: settings and their ranges; those of the command line count before them.
    """

    def __init__(self, params: dict[str, Any] | None = None, **settings: Any) -> None:
        self.params, self.settings = params or {}, settings

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        from hydra.core.plugins import Plugins  # it is what imports this file

        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Runs the search.

        Raises:
            UserError: Optuna is not installed, or the search cannot be made.
        """
        from sr_gan.errors import UserError

        try:  # here, as Hydra imports this file in every program
            from sr_gan.sweeps.search import search
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "optuna":
                raise
            raise UserError(
                "hydra/sweeper=optuna needs optuna: pip install 'sr_gan[optuna]'"
            ) from error
        params = [f"{key}={value}" for key, value in self.params.items()]
        search(self, [*params, *arguments], **self.settings)
