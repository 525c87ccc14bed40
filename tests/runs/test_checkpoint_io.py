import errno
import io
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.plugins.io import AsyncCheckpointIO

from sr_gan.runs.checkpoint_io import AtomicCheckpointIO
from tests.conftest import Compose


def test_writes_what_torch_reads(tmp_path: Path) -> None:
    AtomicCheckpointIO().save_checkpoint({"weight": torch.ones(2)}, tmp_path / "new" / "a.ckpt")
    assert torch.equal(torch.load(tmp_path / "new" / "a.ckpt")["weight"], torch.ones(2))


def test_a_full_disk_leaves_the_old_checkpoint(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path, plugin = tmp_path / "last.ckpt", AtomicCheckpointIO()
    plugin.save_checkpoint({"epoch": 1}, path)
    opened = Path.open

    class Full(io.BytesIO):
        def write(self, *_: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    def open_(self: Path, mode: str = "r", **settings: Any) -> Any:
        if mode != "wb":
            return opened(self, mode, **settings)
        opened(self, mode).close()
        return Full()

    monkeypatch.setattr(Path, "open", open_)
    with pytest.raises(OSError, match="No space left") as raised:
        plugin.save_checkpoint({"epoch": 2}, path)
    monkeypatch.undo()
    assert raised.value.filename == str(path)
    assert torch.load(path) == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_every_trainer_uses_it_beside_the_training(composed: Compose) -> None:
    from sr_gan.settings.build import build

    for trainer in ("auto", "cpu"):
        plugin = build(composed("quickstart", f"trainer={trainer}").trainer).strategy.checkpoint_io
        assert isinstance(plugin, AsyncCheckpointIO)
        assert isinstance(plugin.checkpoint_io, AtomicCheckpointIO)
