import errno
import re
import threading
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage import data as skimage_data
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import metadata
from tensorboard.summary.writer import event_file_writer
from tensorboard.summary.writer.record_writer import RecordWriter

from sr_gan.cli import _in_thread
from sr_gan.loggers.tensorboard import LAYOUT, RESULT, TensorBoard, layout_of
from sr_gan.runs.metrics_table import read_rows
from sr_gan.settings.check import check
from sr_gan.train import train
from tests.conftest import Compose


def read(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder), size_guidance={"images": 0})
    events.Reload()
    return events


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Returns a folder with an out-of-focus photograph, in which grain can be measured."""
    photo = gaussian_filter(skimage_data.chelsea()[:96, :128].astype(float), (4, 4, 0))
    (tmp_path / "valid").mkdir()
    Image.fromarray(photo.astype(np.uint8)).save(tmp_path / "valid" / "a.png")
    return tmp_path / "valid"


def test_a_run_has_layout_settings_samples_and_a_row(
    composed: Compose, alexnet_file: Path, flat: Path
) -> None:
    cfg = composed(
        "quickstart",
        f"data.valid_dir={flat}",
        f"callbacks.lpips.weights={alexnet_file}",
        "health.every=1",
        "gan.loss.weights.adversarial=0.002",
        "seed=3",
    )
    train(cfg)
    config = check(cfg)
    folder = Path(cfg.run_dir)
    for stage in ("pretrain", "gan"):
        events = read(folder / stage)
        assert [image.step for image in events.Images("samples")] == [2, 4]
        text = events.Tensors("config/text_summary")[0].tensor_proto.string_val[0].decode()
        logged = yaml.safe_load(text.strip("`").removeprefix("yaml"))
        assert logged["stage"] == stage
        assert {key: logged[key] for key in ("gan", "data")} == {
            k: config[k] for k in ("gan", "data")
        }
    _check_layout(events)
    _check_row(read(folder / "result"), read_rows(Path(cfg.run_dir) / "metrics.csv")[-1])


def _check_layout(events: EventAccumulator) -> None:
    """Checks that each pattern matches a curve of a GAN stage, and which curves have no chart."""
    found = events.Tensors("custom_scalars__config__")[-1].tensor_proto.string_val[0]
    layout = layout_pb2.Layout.FromString(found)
    charts = {chart.title: list(chart.multiline.tag) for c in layout.category for chart in c.chart}
    assert list(charts) == [title for charts in LAYOUT.values() for title in charts]
    assert charts["D(real) and D(fake), probabilities"] == [
        "2_discriminator/real$",
        "2_discriminator/fake$",
    ]
    curves = events.Tags()["scalars"]
    shown = {
        pattern: {tag for tag in curves if re.match(pattern, tag)}
        for patterns in charts.values()
        for pattern in patterns
    }
    assert all(shown.values()), {pattern for pattern, tags in shown.items() if not tags}
    left = set(curves).difference(*shown.values())
    assert left == {"5_health/colour", "3_quality/rank"}
    first = sorted({tag.partition("/")[0] for tag in curves})[:4]
    assert first == ["1_loss", "2_discriminator", "3_quality", "4_speed"]


def _check_row(events: EventAccumulator, last: dict[str, str]) -> None:
    results = {tag: events.Scalars(tag)[-1].value for tag in events.Tags()["scalars"]}
    assert results == {name: pytest.approx(float(last[tag]), 1e-4) for name, tag in RESULT.items()}
    content: Any = events.summary_metadata[metadata.SESSION_START_INFO_TAG].plugin_data.content
    info = metadata.parse_session_start_info_plugin_data(content)
    numbers = {k: v.number_value for k, v in info.hparams.items() if v.HasField("number_value")}
    assert numbers == pytest.approx(
        {
            "l1_weight": 1.0,
            "adversarial_weight": 0.002,
            "lr_generator": 1e-4,
            "lr_discriminator": 1e-4,
            "batch": 2,
            "crop": 32,
            "epochs": 2,
            "seed": 3,
            "ema": 0.0,
        }
    )
    words = {k: v.string_value for k, v in info.hparams.items() if k not in numbers}
    assert words == {
        "stages": "pretrain, gan",
        "generator": "MSRResNet 8x1",
        "discriminator": "VGGDiscriminator",
        "content_loss": "l1",
        "gan_loss": "BCEAdversarialLoss",
        "penalty": "none",
        "schedule": "Constant",
    }


def test_the_row_of_a_pretrain(composed: Compose) -> None:
    cfg = composed("srresnet", "pretrain.epochs=1", "trainer.limit_train_batches=1")
    train(cfg)
    events = read(Path(cfg.run_dir) / "result")
    content: Any = events.summary_metadata[metadata.SESSION_START_INFO_TAG].plugin_data.content
    row = metadata.parse_session_start_info_plugin_data(content).hparams
    assert row["discriminator"].string_value == row["gan_loss"].string_value == "none"
    assert row["lr_generator"].number_value == pytest.approx(1e-4)
    assert "lr_discriminator" not in row
    assert "result/grid" in events.Tags()["scalars"]
    assert "result/LPIPS" not in events.Tags()["scalars"]  # AlexNet's weights are missing


def test_a_resumed_run_draws_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first process died two steps after its last checkpoint."""
    for first, last in ((0, 5), (3, 7)):
        # TensorBoard reads files in the order of their names, which begin with the second.
        clock = SimpleNamespace(time=partial(float, time.time() + first))
        monkeypatch.setattr(event_file_writer, "time", clock)
        logger = TensorBoard(str(tmp_path), "gan")
        logger.begin_after(first)
        for step in range(first + 1, last + 1):
            logger.log_metrics({"loss/l1": float(first)}, step)
            logger.log_image("samples", [Image.new("RGB", (4, 4))], step)
        logger.finalize("success")
    events = read(tmp_path / "gan")
    points = [(event.step, event.value) for event in events.Scalars("1_loss/l1")]
    assert points == [(1, 0), (2, 0), (3, 0), (4, 3), (5, 3), (6, 3), (7, 3)]
    assert [event.step for event in events.Images("samples")] == [1, 2, 3, 4, 5, 6, 7]


def test_charts_of_what_is_not_measured_are_left_out() -> None:
    pretrain = {"loss/generator", "loss/mse", "quality/psnr_y", "speed/step_time"}
    assert {title for charts in layout_of(pretrain).values() for title in charts} == {
        "loss of the generator",
        "PSNR-Y, dB, beside bicubic",
        "terms before weighting",
        "seconds per update, and the part spent waiting for data",
    }
    assert layout_of({"quality/rank"}) == {}


def test_a_full_disk_names_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """TensorBoard writes in a thread, whose error has no name of a file."""

    def write(writer: RecordWriter, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    logger = TensorBoard(str(tmp_path), "gan")
    logger.experiment.flush()
    monkeypatch.setattr(RecordWriter, "write", write)
    monkeypatch.setattr(threading, "excepthook", _in_thread)
    logger.experiment.add_scalar("loss", 1.0)
    tasks = (
        partial(logger.finalize, "success"),
        partial(logger.log_metrics, {"loss/l1": 1.0}),
        partial(logger.log_image, "samples", [Image.new("RGB", (4, 4))]),
    )
    for task in tasks:
        with pytest.raises(OSError, match=r"No space left on device: '.*gan'$"):
            task()
    logger.finalize("failed")  # hides no other error by one of its own
    assert "Traceback" not in capsys.readouterr().err
