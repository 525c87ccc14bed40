"""Trains a tiny GAN for two updates, and reads back what it writes."""

import tempfile
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from time import perf_counter
from typing import Any

import lightning as L
import torch
from hydra import compose
from omegaconf import DictConfig, OmegaConf, open_dict
from torch import Tensor

from sr_gan.cli import quieten
from sr_gan.doctor.page import Line, examine
from sr_gan.inference.pretrained import load_pretrained
from sr_gan.modules import GAN
from sr_gan.modules.base import gradient_norm, images
from sr_gan.networks.lpips import cached_backbone
from sr_gan.runs.weights import save_generator
from sr_gan.settings.build import build
from sr_gan.tensor_files import load_tensors

# The quickstart's networks and photographs, as small as they can be; EMA is what LDL needs.
_TINY = [
    *("stages=[gan]", "gan.epochs=1", "gan.ema=0.9", "loss@gan.loss=terms"),
    *("generator.filters=8", "generator.blocks=1", "discriminator.filters=4"),
    *("discriminator.dense=8", "data.crop=32", "data.batch_size=2", "data.crops_per_epoch=4"),
    *("data.train=[coffee.png]", "data.valid=[chelsea.png]", "data.valid_crop=48"),
]
_ADVICE = "do not train on this machine; report it with this page"


def check_training(device: str, lpips: str | None) -> Iterator[Line]:
    """Two updates on a device, the gradient of each loss term, and the checkpoint.

    ``lpips`` is a file of AlexNet's weights; None for torch's cache.
    """
    quieten()
    with tempfile.TemporaryDirectory(prefix="sr_gan-doctor-") as folder:
        cfg = settings(device, folder, lpips)
        L.seed_everything(cfg.seed, verbose=False)
        generator = build(cfg.generator)
        module = build(cfg.gan, generator=generator)
        before = deepcopy(module)
        witness = Witness(Path(folder) / "last.ckpt")
        trainer = build(
            cfg.trainer,
            max_epochs=1,
            callbacks=[witness],
            logger=False,
            enable_progress_bar=False,
            enable_checkpointing=False,
        )
        began = perf_counter()
        trainer.fit(module, build(cfg.data))
        seconds = perf_counter() - began
        still = [name for name in module.players if not _moved(before, module, name)]
        text = f"{trainer.global_step // 2} updates of a tiny GAN in {cfg.trainer.precision}"
        if still:
            text += f" did not move, or spoiled, the weights of the {' and '.join(still)}"
            yield Line(f"train {device}", text, _ADVICE, "FAIL")
        else:
            yield Line(f"train {device}", f"{text}, with its validation, in {seconds:.1f} s")
        yield from examine("gradients", lambda: _gradients(device, witness.norms))
        yield from examine("checkpoint", lambda: _read_back(device, witness))
        yield from examine("weights", lambda: _weights(device, module, cfg, Path(folder)))


def settings(device: str, folder: str, lpips: str | None) -> DictConfig:
    """A training run's settings, with every content loss that can be computed here."""
    choices = [f"trainer={'gpu' if device == 'cuda' else device}", f"run_dir='{folder}'"]
    cfg = compose("train", [*choices, f"data.cache_dir='{folder}'", *_TINY])
    further: dict[str, Any] = {
        "vgg": {"_target_": "sr_gan.losses.VGGLoss", "weights": "random"},
        "ldl": {"_target_": "sr_gan.losses.LDLLoss"},
    }
    if lpips is not None or cached_backbone("alex").is_file():
        further["lpips"] = {"_target_": "sr_gan.losses.LPIPSLoss", "weights": lpips}
    if cfg.trainer.precision == "16-mixed":
        cfg.data.crops_per_epoch *= 4  # loss scaling may skip the first updates
    with open_dict(cfg):
        cfg.gan.loss.content.update(further)
        cfg.gan.loss.weights = dict.fromkeys([*cfg.gan.loss.content, "adversarial"], 1.0)
    return cfg


class Witness(L.Callback):
    """Notes the gradient of each loss term, and what is in the checkpoint that it writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.norms: dict[str, float] = {}
        self.written: dict[str, Any] = {}

    def on_train_batch_end(self, trainer: L.Trainer, module: GAN, *args: Any) -> None:  # type: ignore[override]
        """Takes the gradient of each term in the generator's weights."""
        lr, hr = images(args[1])
        weights = list(module.generator.parameters())
        with trainer.precision_plugin.train_step_context():
            sr = module.generator(lr)
            terms = module.content(lr, sr, hr)
            terms["adversarial"] = module.adversarial_term(sr, hr)
        for name, term in terms.items():
            if term.requires_grad:
                self.norms[name] = float(gradient_norm(term, weights, module.scaler, True))
            else:
                self.norms[name] = 0.0

    def on_train_end(self, trainer: L.Trainer, module: GAN) -> None:  # type: ignore[override]
        trainer.save_checkpoint(self.path)
        optimizers = [optimizer.state_dict() for optimizer in trainer.optimizers]
        self.written = deepcopy({"state_dict": module.state_dict(), "optimizer_states": optimizers})


def _gradients(device: str, norms: Mapping[str, float]) -> Iterator[Line]:
    lost = [name for name, norm in norms.items() if not 0 < norm < float("inf")]
    if lost or not norms:
        text = f"none, or none that is finite, from {', '.join(lost) or 'any loss'}"
        yield Line("gradients", f"{text} reaches the generator on {device}", _ADVICE, "FAIL")
    else:
        text = f"those of {', '.join(norms)} reach the generator on {device}"
        yield Line("gradients", text)


def _read_back(device: str, witness: Witness) -> Iterator[Line]:
    content = load_tensors(witness.path)
    differing = [name for name, value in witness.written.items() if not same(value, content[name])]
    if differing:
        text = f"written on {device}, and read back with other {' and '.join(differing)}"
        yield Line("checkpoint", text, "check the disk and the memory", "FAIL")
    else:
        count = len(witness.written["state_dict"])
        text = f"{count} tensors and the optimisers, written on {device}, are read back bit for bit"
        yield Line("checkpoint", text)


def _weights(device: str, module: GAN, cfg: DictConfig, folder: Path) -> Iterator[Line]:
    generator, path = module.evaluated, folder / "generator.safetensors"
    config: Any = OmegaConf.to_container(cfg.generator, resolve=True)
    save_generator(generator, config, path)
    read = load_pretrained(str(path)).generator.state_dict()
    if not same(dict(generator.state_dict()), dict(read)):
        text = f"written on {device}, and read back with other values"
        yield Line("weights", text, "check the disk and the memory", "FAIL")
    else:
        yield Line("weights", f"a generator's file, written on {device}, is read back bit for bit")


def same(one: Any, other: Any) -> bool:
    """Whether two values, however nested, are equal; tensors may be on different devices."""
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and torch.equal(one.cpu(), other.cpu())
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def _moved(before: GAN, after: GAN, player: str) -> bool:
    """Whether all weights of a player have moved, and are finite."""
    pairs = zip(getattr(before, player).parameters(), getattr(after, player).parameters())
    return all(bool(b.isfinite().all()) and not same(a, b) for a, b in pairs)
