from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from sr_gan.runs.metrics_table import read_rows
from sr_gan.settings.check import check
from sr_gan.train import train
from tests.conftest import Compose

mlflow: Any = pytest.importorskip("mlflow")


def test_a_run_lies_in_a_local_store(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"sqlite:///{tmp_path / 'run' / 'store.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    cfg = composed("quickstart", "logger=mlflow")
    train(cfg)
    client = mlflow.MlflowClient(uri)
    (experiment,) = client.search_experiments(filter_string="name = 'sr_gan'")
    pretrain, gan = client.search_runs(experiment.experiment_id, order_by=["start_time"])
    for run, stage in ((pretrain, "pretrain"), (gan, "gan")):
        assert run.info.run_name == f"{cfg.run_dir}/{stage}"
        assert run.info.status == "FINISHED"

    rows = read_rows(Path(cfg.run_dir) / "metrics.csv")
    for name in ("loss/generator", "discriminator/real", "quality/psnr_y"):
        logged = [point.value for point in client.get_metric_history(gan.info.run_id, name)]
        assert logged == [pytest.approx(float(row[name]), 1e-4) for row in rows[-2:]]
    assert gan.data.params["gan/loss/weights/adversarial"] == "0.001"
    assert gan.data.params["stage"] == "gan"

    artifacts = Path(client.download_artifacts(gan.info.run_id, "."))
    assert gan.info.artifact_uri.startswith(str(tmp_path / "run" / "store"))
    config = yaml.safe_load((artifacts / "config.yaml").read_text())
    assert {key: config[key] for key in ("stage", "gan", "data")} == {
        "stage": "gan",
        "gan": check(cfg)["gan"],
        "data": check(cfg)["data"],
    }
    samples = sorted((artifacts / "images").glob("samples+step+*.png"))
    assert [path.name.split("+")[2] for path in samples] == ["2", "4"]
    with (
        Image.open(samples[1]) as one,
        Image.open(tmp_path / "run" / "samples" / "gan" / "epoch_0002.png") as other,
    ):
        assert one.tobytes() == other.tobytes()
    assert not list((tmp_path / "run").rglob("*tfevents*"))


def test_the_store_is_that_of_the_environment(
    composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    cfg = composed("quickstart", "logger=mlflow")
    assert cfg.logger.mlflow.tracking_uri == "sqlite:///runs/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///elsewhere.db")
    cfg = composed("quickstart", "logger=mlflow")
    assert cfg.logger.mlflow.tracking_uri == "sqlite:///elsewhere.db"
