"""Cards say what a run and its evaluation hold, and the Hub's package reads them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from sr_gan.errors import UserError
from sr_gan.exports.card import write_cards
from sr_gan.exports.facts import About, digest, facts_of
from sr_gan.exports.front_matter import front_matter
from sr_gan.exports.uses import use_of
from sr_gan.inference.pretrained import Pretrained, load_pretrained
from sr_gan.networks import CompactNet
from sr_gan.runs.weights import save_generator
from sr_gan.train import train
from tests.conftest import SMALL, Compose, Shell
from tests.made_runs import MakeRun

CONFIG = {"_target_": "sr_gan.networks.CompactNet", "scale": 4, "filters": 8, "blocks": 2}
SETTINGS: dict[str, Any] = {
    "stages": ["pretrain", "gan"],
    "init_from": "/home/somebody/4x_Other.pth",
    "data": {
        "_target_": "sr_gan.data.FolderData",
        "train_dir": "/home/somebody/Birds",
        "batch_size": 8,
        "crop": 96,
    },
    "degradation": {"_target_": "sr_gan.data.degradation.Degradation", "jpeg_quality": [30, 95]},
    "pretrain": {"epochs": 1, "loss": {"weights": {"l1": 1.0}}},
    "gan": {"epochs": 3, "loss": {"weights": {"l1": 0.01, "adversarial": 0.005}}},
}


@pytest.fixture
def run(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A run with a finished generator, and with checkpoints that hold what train writes."""
    monkeypatch.chdir(tmp_path)
    folder = make_run("birds/1", settings=SETTINGS)
    for stage, updates in {"pretrain": 100, "gan": 50}.items():
        checkpoint = folder / "checkpoints" / stage / "last.ckpt"
        checkpoint.parent.mkdir(parents=True)
        progress = {"total": {"processed": updates}}
        content = {
            "loops": {"fit_loop": {"epoch_loop.batch_progress": progress}},
            "sr_gan": {"photos": "170 to train on (aa), 16 held out (bb)"},
        }
        torch.save(content, checkpoint)
    path = folder / "checkpoints" / "gan" / "generator.safetensors"
    save_generator(CompactNet(4, 8, 2), CONFIG, path)
    return folder


def evaluate(folder: Path, model: str, psnr: float, benchmark: str = "Set5") -> Path:
    """Writes a table as evaluate does, see test_facts_of_a_real_run_and_of_evaluate."""
    scores: dict[str, dict[str, Any]] = {
        model: {"psnr_y": psnr, "lpips": None, "grain": 0.1},
        "bicubic": {"psnr_y": 28.4},
    }
    table = {
        "benchmark": benchmark,
        "convention": "as in the paper",
        "models": {name: {"mean": mean} for name, mean in scores.items()},
        "images": [{"name": "a", "model": name, **mean} for name, mean in scores.items()],
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{benchmark}.json"
    path.write_text(json.dumps(table))
    return path


def card_of(model: Pretrained, folder: Path, **about: str) -> str:
    weights = folder / "net.safetensors"
    weights.write_bytes(b"x")
    return write_cards(facts_of(model, About(**about)), [weights], folder)[0].read_text()


def test_a_card_of_a_run_is_read_by_the_hub(run: Path, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    evaluate(run / "evaluation", "birds/1/gan", 30.123456)
    text = card_of(load_pretrained(str(run)), tmp_path, author="Jane", license="GPL-3.0-only")
    data = hub.ModelCard(text).data
    assert (data.license, data.library_name, data.pipeline_tag) == (
        "gpl-3.0",
        "sr_gan",
        "image-to-image",
    )
    (result,) = data.eval_results
    assert (result.dataset_name, result.metric_type, result.metric_value) == (
        "Set5",
        "psnr",
        30.1235,
    )
    made = hub.metadata_eval_result(
        model_pretty_name="birds-gan",
        task_pretty_name="x4 super-resolution",
        task_id="image-to-image",
        metrics_pretty_name="PSNR on Y in dB",
        metrics_id="psnr",
        metrics_value=30.1235,
        dataset_pretty_name="Set5",
        dataset_id="set5",
    )
    ours = front_matter(facts_of(load_pretrained(str(run)), About()))["model-index"]
    del made["model-index"][0]["results"][0]["metrics"][0]["verified"]
    assert ours == made["model-index"]
    for row in (
        "| data | Birds |",
        "| number of photographs | 170 |",
        "| LR images | Degradation(jpeg_quality=[30, 95]) |",
        "| started from | 4x_Other.pth |",
        "| updates, pretrain | 100 |",
        "| updates, gan | 50 |",
        "| weights of the losses, gan | adversarial=0.005, l1=0.01 |",
        "| PyTorch | 2.11.0 |",
        "| birds-gan | 30.12 | 0.10 |",
        "| bicubic | 28.40 | - |",
    ):
        assert row in text
    assert "somebody" not in text
    assert "sr-gan upscale model=net.safetensors input=PHOTO" in text


def test_blanks_are_listed(run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    text = card_of(load_pretrained(str(run)), tmp_path)
    for blank in ("author", "license", "licences of the photographs"):
        assert f"[fill in: {blank}]" in text
    assert "fill in 4x-birds-gan.md: author, license, licences of" in caplog.text
    missing = "author, license, description, resources.urls"
    assert f"fill in 4x-birds-gan.json: {missing}" in caplog.text
    assert "license:" not in text
    assert "model has not been measured" in text


def test_what_is_not_known_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "lone.safetensors"
    save_generator(CompactNet(4, 8, 2), CONFIG, path)
    text = card_of(load_pretrained(str(path)), tmp_path)
    assert "[fill in: training]" in text
    assert "updates" not in text
    assert "reduced by bicubic. It enlarges noise" not in text


def test_a_bundled_model_brings_its_own_card(tmp_path: Path) -> None:
    text = card_of(load_pretrained("psnr"), tmp_path)
    assert "license: mit" in text
    assert "The training data are 170 photographs" in text
    assert "[fill in: training]" not in text


def test_only_scores_of_these_weights_are_taken(
    run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    model = load_pretrained(str(run))
    old = evaluate(run / "evaluation", "birds/1/gan", 30.0)
    os.utime(old, (1e9, 1e9))
    evaluate(run / "evaluation", "another", 31.0, "Set14")
    evaluate(tmp_path / "evaluations" / "birds_1_gan", "birds/1/gan", 32.0, "BSD100")
    (score,) = facts_of(model, About()).scores
    assert (score.benchmark, score.images, score.mean) == (
        "BSD100",
        1,
        {"psnr_y": 32, "grain": 0.1},
    )
    assert "Set5.json: it is older than the weights" in caplog.text
    given = facts_of(model, About(metrics=str(run / "evaluation"))).scores
    assert [each.benchmark for each in given] == ["Set14", "Set5"]  # the user vouches for them
    (run / "evaluation" / "Set5.json").write_text('{"benchmark": 1, "models": []}')
    with pytest.raises(UserError, match=r"Set5\.json is damaged: it is no table"):
        facts_of(model, About())
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"metrics=.*empty holds no scores of birds/1/gan"):
        facts_of(model, About(metrics=str(tmp_path / "empty")))


@pytest.mark.slow
def test_facts_of_a_real_run_and_of_evaluate(
    composed: Compose, shell: Shell, tmp_path: Path, photos: Path
) -> None:
    train(composed("quickstart", small=SMALL))
    code, _, err = shell("evaluate", "model=run", f"benchmark={photos}")
    assert code == 0, err
    facts = facts_of(load_pretrained("run"), About())
    (score,) = facts.scores
    table = json.loads((tmp_path / "run" / "evaluation" / f"{photos.name}.json").read_text())
    measured = {key: value for key, value in table["mean"].items() if value is not None}
    assert (score.images, score.mean) == (6, measured)
    assert facts.training
    assert [(stage.name, stage.updates) for stage in facts.training.stages] == [
        ("pretrain", 4),
        ("gan", 4),
    ]
    assert (facts.training.dataset, facts.training.batch, facts.training.crop) == (
        photos.name,
        2,
        32,
    )
    assert facts.training.photos == 5


def test_the_digest_is_of_values_and_not_of_files(tmp_path: Path) -> None:
    network = CompactNet(4, 8, 2)
    before = digest(network)
    save_generator(network, CONFIG, tmp_path / "a.safetensors")
    assert digest(load_pretrained(str(tmp_path / "a.safetensors")).generator) == before
    with torch.no_grad():
        next(network.parameters())[0, 0, 0, 0] += 1e-6
    assert digest(network) != before


def test_uses() -> None:
    for name in ("a.safetensors", "a.onnx", "a.param", "a.pt2", "a.xml", "a.pth"):
        assert use_of(Path(name), "RRDBNet")
    assert use_of(Path("a.bin"), "RRDBNet") is None
    assert use_of(Path("a.pth"), "MSRResNet") != use_of(Path("a.pth"), "RRDBNet")
