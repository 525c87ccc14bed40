from typing import Any

import pytest
import torch
import yaml
from omegaconf import OmegaConf

from sr_gan.runs.health import ADVICE
from sr_gan.runs.metrics_table import Stage
from sr_gan.runs.verdict import behind_bicubic, diagnose, guessing
from sr_gan.settings.build import build
from sr_gan.settings.conf import conf_dir
from tests.made_runs import gan_rows


def stage(answers: list[tuple[float, float]]) -> Stage:
    rows = [{key: v for key, v in row.items() if key != "stage"} for row in gan_rows(answers)]
    return Stage("gan", rows)


CASES = {
    "saturated": [(0.6, 0.4)] * 3 + [(0.999, 0.001)] * 6,
    "discriminator winning": [(0.6, 0.4)] * 3 + [(0.93, 0.05)] * 6,
    "healthy": [(0.7, 0.3)] * 9,
    "generator winning": [(0.51, 0.5)] * 9,
}


@pytest.mark.parametrize("state", CASES)
def test_the_distance_of_the_answers_tells(state: str) -> None:
    health = diagnose(stage(CASES[state]))
    assert health is not None
    assert health.state == state
    assert health.text.startswith(f"{health.name.capitalize()}: ")
    assert health.name == state
    assert bool(health.advice) == (state != "healthy")


def test_since_when_it_is_saturated_and_one_outlier_does_not_count() -> None:
    answers = [(0.6, 0.4)] * 5 + [(0.99, 0.01)] * 15
    health = diagnose(stage(answers))
    assert health is not None
    assert "since epoch 6." in health.text
    health = diagnose(stage([*answers[:-2], (0.8, 0.2), (0.99, 0.01)]))
    assert health is not None
    assert (health.state, "since epoch 20." in health.text) == ("saturated", True)


def test_a_discriminator_that_is_not_saturated_any_more_is_not_called_so() -> None:
    health = diagnose(stage([(0.9, 0.05)] * 19 + [(0.99, 0.01)]))
    assert health is not None
    assert health.state == "discriminator winning"
    assert "saturated" not in health.text


@pytest.mark.parametrize(
    ("epochs", "readings", "found", "state"),
    [
        (2, 0, 0, "healthy"),  # a run of a few updates
        (9, 5, 0, "healthy"),
        (6, 6, 0, "generator winning"),
        (2, 2, 2, "generator winning"),  # with many readings in each epoch, as the run found
        (5, 0, None, "healthy"),  # without the callback
        (6, 0, None, "generator winning"),
    ],
)
def test_the_generator_wins_only_after_enough_readings(
    epochs: int, readings: int, found: float | None, state: str
) -> None:
    run = stage([(0.51, 0.5)] * epochs)
    for row in run.rows:
        row |= {} if found is None else {"health/state": float(found)}
        row |= {"health/contrast": 1.0} if row["epoch"] <= readings else {}
    health = diagnose(run)
    assert health is not None
    assert (health.state, bool(health.advice)) == (state, state != "healthy")
    early = "too early to say that the generator wins: 6 readings in a row"
    assert (early in health.text) == (state == "healthy")


def test_few_epochs_are_a_first_impression() -> None:
    health = diagnose(stage([(0.7, 0.3)] * 9))
    assert health is not None
    assert "After 9 epochs that is a first impression" in health.text
    health = diagnose(stage([(0.7, 0.3)] * 10))
    assert health is not None
    assert "impression" not in health.text


def test_images_unlike_photographs_are_told_even_where_the_players_are_balanced() -> None:
    rows = stage([(0.55, 0.45)] * 9)
    for row, colour in zip(rows.rows, [80.0, 30.0, 3.0, 3.0, 3.0, 3.0, 3.0, 42.4, 3.0]):
        row |= {"health/contrast": 1.2, "health/colour": colour}
    health = diagnose(rows)
    assert health is not None
    assert "In epoch 8 the images were far from photographs" in health.text
    assert "off by 42 grey levels" in health.text
    rows.rows[7]["health/colour"] = 3.0
    health = diagnose(rows)
    assert health is not None
    assert "far from photographs" not in health.text


def test_nan_and_no_discriminator() -> None:
    broken = stage([(0.7, 0.3)] * 3)
    broken.rows[1]["loss/vgg"] = float("nan")
    health = diagnose(broken)
    assert health is not None
    assert health.state == "diverged"
    assert health.text == "Diverged: in epoch 2 of gan, loss/vgg=nan."
    assert diagnose(Stage("pretrain", [{"epoch": 1, "loss/generator": 0.1}])) is None


def test_the_advice_names_settings_that_there_are() -> None:
    train = (conf_dir() / "train.yaml").read_text()
    advice = " ".join(ADVICE.values())
    for key in ("discriminator_lr", "generator_lr", "init_from", "stages"):
        assert key in advice
        assert f"{key}:" in train
    assert "adversarial:" in (conf_dir() / "loss" / "pixel_gan.yaml").read_text()


def test_the_advice_on_a_winning_generator_does_not_need_lpips() -> None:
    health = diagnose(stage(CASES["generator winning"]))
    assert health is not None
    for text in (health.advice, health.text):
        assert "pictures" in text
        assert "if it is measured" in text


@pytest.mark.parametrize("choice", ["bce", "hinge", "least_squares", "relativistic"])
def test_guessing_is_the_loss_of_one_half(choice: str) -> None:
    """Computes the loss itself at the logits for which its answers are 1/2."""
    node: dict[str, Any] = yaml.safe_load(
        (conf_dir() / "adversarial" / f"{choice}.yaml").read_text()
    )
    loss = build(OmegaConf.create(node))
    undecided = torch.full((4,), 0.5 if choice == "least_squares" else 0.0)
    assert loss.probabilities(undecided, undecided)[0] == pytest.approx(0.5)
    config = {"gan": {"loss": {"adversarial": node}}}
    assert guessing(config) == pytest.approx(float(loss.discriminator(undecided, undecided)))
    health = diagnose(stage(CASES["healthy"]), guessing(config))
    assert health is not None
    assert f"{guessing(config):.2f} is guessing" in health.text


def test_a_critic_has_no_such_loss() -> None:
    assert guessing({"gan": {"loss": {"adversarial": {"_target_": "a.WassersteinLoss"}}}}) is None
    assert guessing({}) is None


@pytest.mark.parametrize(
    ("scores", "gan", "said"),
    [
        (
            {"psnr_y": 25.9},
            False,
            "PSNR-Y 25.90 and 26.00 dB: train it longer with pretrain.epochs",
        ),
        ({"psnr_y": 26.1}, False, ""),
        ({"psnr_y": 25.999}, False, ""),
        ({"psnr_y": 25.0, "lpips": float("nan")}, True, ""),
        ({"psnr_y": 25.0, "lpips": 0.3}, True, ""),
        ({"psnr_y": 25.0}, True, ""),
        ({"psnr_y": 27.0, "lpips": 0.6}, True, "bicubic's by LPIPS, 0.6000 and 0.5000: train it"),
    ],
)
def test_images_worse_than_bicubics_are_told(
    scores: dict[str, float], gan: bool, said: str
) -> None:
    row = {f"quality/{name}": value for name, value in scores.items()}
    row |= {"epoch": 2.0, "quality/psnr_y_bicubic": 26.0, "quality/lpips_bicubic": 0.5}
    row |= {"loss/discriminator": 1.0} if gan else {}
    text = behind_bicubic(Stage("gan" if gan else "pretrain", [row, {"epoch": 3.0}]))
    assert said in text
    assert bool(said) == bool(text)
    assert behind_bicubic(Stage("pretrain", [{"epoch": 1.0}])) == ""
