"""The head of a model card, from which the Hugging Face Hub takes tags, licence and results.

Source: the specification of model cards in huggingface/hub-docs (modelcard.md).
"""

from typing import Any

from sr_gan.exports.facts import Facts
from sr_gan.exports.measured import Scores
from sr_gan.runs import hub

TASK = "image-to-image"
_METRICS = {  # the measures that the Hub has an identifier for
    "psnr_y": ("psnr", "PSNR on Y in dB"),
    "ssim_y": ("ssim", "SSIM on Y"),
    "lpips": ("lpips", "LPIPS with AlexNet"),
}
# The Hub's licences by SPDX identifier; it takes any other under a name.
_SAME = (
    "MIT",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MPL-2.0",
    "CC0-1.0",
    "CC-BY-4.0",
)
_LICENSES = {
    **{name.lower(): name.lower() for name in _SAME},
    **{f"cc-by-{kind}-4.0": f"cc-by-{kind}-4.0" for kind in ("sa", "nc", "nd", "nc-sa", "nc-nd")},
    **{f"{gpl}-{end}": gpl for gpl in ("gpl-3.0", "agpl-3.0") for end in ("only", "or-later")},
}


def front_matter(facts: Facts) -> dict[str, Any]:
    """Returns the metadata of a model, without what is not known."""
    training = facts.training
    tags = ["super-resolution", "image-super-resolution", "pytorch", facts.network.lower()]
    if training and any(stage.name == "gan" for stage in training.stages):
        tags.append("srgan")
    front: dict[str, Any] = {
        **_license(facts.license),
        "library_name": "sr_gan",
        "pipeline_tag": TASK,
        "tags": tags,
    }
    if training and training.init_from and training.init_from.startswith(hub.SCHEME):
        front["base_model"] = hub.parse(training.init_from, "init_from").repo
    results = [_result(facts.scale, scores) for scores in facts.scores]
    results = [result for result in results if result["metrics"]]
    if results:
        kinds = (metric["type"] for result in results for metric in result["metrics"])
        front["metrics"] = list(dict.fromkeys(kinds))
        front["model-index"] = [{"name": facts.name, "results": results}]
    return front


def _license(spdx: str | None) -> dict[str, str]:
    if spdx is None:
        return {}
    known = _LICENSES.get(spdx.lower())
    return {"license": known} if known else {"license": "other", "license_name": spdx.lower()}


def _result(scale: int, scores: Scores) -> dict[str, Any]:
    return {
        "task": {"type": TASK, "name": f"x{scale} super-resolution"},
        "dataset": {"name": scores.benchmark, "type": scores.benchmark.lower()},
        "metrics": [
            {"type": kind, "value": round(scores.mean[key], 4), "name": name}
            for key, (kind, name) in _METRICS.items()
            if key in scores.mean
        ],
    }
