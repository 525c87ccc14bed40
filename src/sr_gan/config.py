"""Where conf/ is, and build(): the only place that instantiates."""

from pathlib import Path
from typing import Any

import hydra
from hydra.errors import InstantiationException
from lightning.fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig

from sr_gan.errors import UserError


def conf_dir() -> Path:
    """The folder of the Hydra configuration: in the package, or beside src/ in a checkout."""
    here = Path(__file__).resolve().parent
    packaged = here / "conf"
    return packaged if packaged.is_dir() else here.parents[1] / "conf"


def build(node: DictConfig, **arguments: Any) -> Any:
    """Instantiates a node and everything inside it; ``arguments`` are objects made elsewhere.

    Raises:
        UserError: a constructor refused its settings; the message names the key.
    """
    key = node._get_full_key("")
    try:
        return hydra.utils.instantiate(node, _convert_="all", _partial_=True)(**arguments)
    except InstantiationException as error:
        cause = error.__cause__
        if not isinstance(cause, (ValueError, TypeError, UserError, MisconfigurationException)):
            raise
        inner = str(error).rsplit("full_key: ", 1)
        raise UserError(f"{inner[1].strip() if len(inner) > 1 else key}: {cause}") from error
    except (ValueError, TypeError, UserError, MisconfigurationException) as error:
        raise UserError(f"{key}: {error}") from error


def build_all(nodes: DictConfig) -> list[Any]:
    """Builds each node of a group of named ones; ``null`` switches one off."""
    return [build(node) for node in nodes.values() if node is not None]
