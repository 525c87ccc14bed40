"""Finds settings of a training run that contradict each other or this machine."""

import re
from typing import Any

from sr_gan.arguments import is_plain
from sr_gan.errors import UserError
from sr_gan.machine import sees_gpu


def check_contradictions(plain: dict[str, Any]) -> None:
    """Refuses the settings of a training run that contradict each other or this machine.

    Raises:
        UserError: the message names the settings and says what to do.
    """
    stages, scale, data, trainer = (plain[key] for key in ("stages", "scale", "data", "trainer"))
    if stages not in (["pretrain"], ["gan"], ["pretrain", "gan"]):
        raise UserError(f"stages={stages}: allowed are [pretrain], [gan] and [pretrain,gan]")
    for part in ("generator", "data"):
        if plain[part].get("scale", scale) != scale:
            raise UserError(
                f"{part}.scale={plain[part]['scale']} contradicts scale={scale}: "
                "set scale only, the others follow"
            )
    for name, value in plain["generator"].items():
        if name != "_target_" and not is_plain(name, value):
            raise UserError(
                f"generator.{name}={value}: allowed are numbers, words, true, false and null, as a "
                "file of weights holds nothing else"
            )
    for name in ("crop", "valid_crop"):
        if (data.get(name) or 0) % scale:
            raise UserError(f"data.{name}={data[name]}: must be a multiple of scale={scale}")
    if str((data.get("degradation") or {}).get("_target_")).endswith(".Kinds"):
        raise UserError(
            "degradation=kinds is for measuring: validate a run on kinds with data.valid_kinds, "
            "such as data.valid_kinds=[clean,jpeg75], and choose what it is trained on with "
            "degradation=jpeg or another"
        )
    if data.get("valid_lr_dir") and not data.get("valid_dir"):
        raise UserError("data.valid_lr_dir is set, but data.valid_dir is not: set both or neither")
    for stage in stages:
        weights = plain[stage]["loss"].get("weights")
        if weights is not None and ("adversarial" in weights) != (stage == "gan"):
            fault = (
                "has no weight named adversarial, which a GAN needs"
                if stage == "gan"
                else "has a weight named adversarial, but a pretrain has no discriminator"
            )
            raise UserError(f"{stage}.loss {fault}: choose another file of conf/loss")
        if weights and not any(weights.values()):
            raise UserError(f"{stage}.loss.weights are all 0, so that nothing would be learned")
    batch, parts = data.get("batch_size"), plain["gan"].get("accumulate", 1)
    if batch is not None and batch % max(parts, 1):
        raise UserError(f"gan.accumulate={parts} does not divide data.batch_size={batch}")
    discriminator = plain["discriminator"]
    fixed = discriminator.get("crop") if discriminator.get("pooled_size") is None else None
    if "gan" in stages and fixed not in (None, data["crop"]):
        raise UserError(
            f"discriminator.crop={fixed} contradicts data.crop={data['crop']}: set "
            "data.crop only, or use discriminator=vgg_pool, which takes any size"
        )
    alone, devices = trainer.get("strategy", "auto") == "auto", trainer["devices"]
    if trainer["accelerator"] in ("gpu", "cuda") and not sees_gpu():
        advice = "trainer=cpu or trainer=auto" if alone else "trainer.accelerator=cpu"
        raise UserError(
            f"trainer.accelerator={trainer['accelerator']}: PyTorch sees no GPU here; use {advice}"
        )
    on_cpu = trainer["accelerator"] == "cpu" or not sees_gpu()
    if alone and _several(devices, on_cpu):
        cpu = " trainer.accelerator=cpu" if on_cpu else ""
        raise UserError(
            f"trainer.devices={devices}: several devices need trainer=ddp, as in "
            f"trainer=ddp{cpu} trainer.devices={devices}"
        )
    if on_cpu and str(trainer["precision"]).startswith("16"):
        raise UserError(
            f"trainer.precision={trainer['precision']} needs a GPU: "
            "on a CPU use 32-true or bf16-mixed"
        )


def _several(devices: Any, on_cpu: bool) -> bool:
    """Whether a setting of the trainer asks for several devices."""
    if isinstance(devices, str) and "," in devices:  # numbers of GPUs, such as 0,1
        devices = [number for number in devices.split(",") if number.strip()]
    if isinstance(devices, list):
        return len(devices) > 1
    if str(devices) in ("-1", "auto"):  # all of them
        if on_cpu:
            return False
        import torch

        return torch.cuda.device_count() > 1
    return bool(re.fullmatch(r"[2-9]|\d\d+", str(devices)))
