"""The sweeper ``hydra/sweeper=optuna``; Hydra takes plugins from this namespace only."""

from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class OptunaSweeper(Sweeper):
    """Hydra's side of :func:`sr_gan.sweeps.search.search`.

    Args:
        params: settings and their ranges; the command line takes precedence over them.
        settings: the arguments ``trials``, ``jobs``, ``startup`` and ``seed`` of the search.
    """

    def __init__(self, params: dict[str, Any] | None = None, **settings: Any) -> None:
        self.params, self.settings = params or {}, settings

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        from hydra.core.plugins import Plugins  # not at the top, as it imports this file

        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Runs the search.

        Raises:
            UserError: Optuna is not installed, or the search fails.
        """
        from sr_gan.errors import UserError

        try:  # not at the top, as every program imports this file
            from sr_gan.sweeps.search import search
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "optuna":
                raise
            raise UserError(
                "hydra/sweeper=optuna needs optuna: pip install 'sr_gan[optuna]'"
            ) from error
        params = [f"{key}={value}" for key, value in self.params.items()]
        search(self, [*params, *arguments], **self.settings)
