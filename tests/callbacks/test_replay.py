"""Recorded and replayed updates give the same numbers as those that run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from sr_gan.callbacks import ReplayUpdates
from sr_gan.callbacks.replay import Replay, cuda_graph
from sr_gan.modules import GAN
from sr_gan.settings.build import build, build_all
from tests.conftest import RECIPES, Compose
from tests.modules.test_stages import batches
from tests.modules.test_updates import READING_OPS


class Tape(TorchDispatchMode):
    """A CUDA graph on a CPU: operations and the memory that they work on, without any Python.

    Recording leaves everything that existed before unchanged.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, Any]] = []
        self.made: dict[int, Tensor] = {}  # by address; the tensors are kept alive
        self.before: dict[int, tuple[Tensor, Tensor]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.__name__.split(".")[0]
        if name in READING_OPS:
            raise RuntimeError(f"a graph cannot be read from: {name}")
        named = {given.name: value for given, value in zip(func._schema.arguments, args)} | kwargs
        for given in func._schema.arguments:
            written = given.alias_info is not None and given.alias_info.is_write
            if written or given.name in ("running_mean", "running_var"):
                for tensor in tensors(named.get(given.name)):
                    address = tensor.untyped_storage().data_ptr()
                    if address not in self.made and tensor.data_ptr() not in self.before:
                        self.before[tensor.data_ptr()] = (tensor.detach(), tensor.detach().clone())
        inputs = {x.untyped_storage().data_ptr() for x in tensors((args, kwargs))}
        results = func(*args, **kwargs)
        plain = tree_map(lambda x: x.detach() if isinstance(x, Tensor) else x, (args, kwargs))
        fresh: list[Tensor | None] = [
            None if x.untyped_storage().data_ptr() in inputs else x.detach()
            for x in tensors(results)
        ]
        self.operations.append((func, *plain, fresh))
        for made in fresh:
            if made is not None:
                self.made[made.untyped_storage().data_ptr()] = made
        return results

    def undo(self) -> None:
        for place, value in self.before.values():
            place.copy_(value)

    @torch.no_grad()
    @torch.autocast("cpu", enabled=False)  # a graph holds kernels, whose types are settled
    def replay(self) -> None:
        for func, args, kwargs, fresh in self.operations:
            for place, value in zip(fresh, tensors(func(*args, **kwargs))):
                if place is not None:
                    place.copy_(value)


def tensors(tree: Any) -> list[Tensor]:
    return [x for x in tree_leaves(tree) if isinstance(x, Tensor)]


def tape(work: Callable[[], Any], pool: Any) -> tuple[Any, Callable[[], None]]:
    recorder = Tape()
    with recorder:
        outputs = work()
    with torch.no_grad():
        recorder.undo()
    return outputs, recorder.replay


class OnTape(ReplayUpdates):
    """Records on a CPU as on a GPU."""

    def __init__(self, record: Callable[..., Any] = tape) -> None:
        super().__init__()
        self.record, self.recorded, self.replays = record, 0, 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, GAN)

        def record(*args: Any) -> Any:
            outputs, replay = self.record(*args)
            self.recorded += 1

            def counted() -> None:
                self.replays += 1
                replay()

            return outputs, counted

        pl_module.replay = Replay(pl_module, record)


UPDATES = 9
VARIANTS = {  # the numbers of recordings and of replays
    "gan.ema=0.9": (1, 6),
    "gan.adversarial_ramp=0.5": (1, 6),
    "gan.discriminator_every=2": (2, 3),
    "gan.accumulate=2": (1, 6),
    "penalty=r1": (2, 3),
    "penalty=gradient": (0, 0),
    "gan.instance_noise=0.1": (1, 1),
    "adversarial=relativistic": (1, 6),
    "discriminator=vgg_sn": (1, 6),
    "trainer.precision=bf16-mixed": (1, 6),
    "health.intervene=true": (1, 6),
    **dict.fromkeys(RECIPES, (1, 6)),
}


def run(cfg: Any, *extra: L.Callback, accelerator: str = "cpu") -> tuple[GAN, L.Trainer]:
    torch.manual_seed(0)
    module: GAN = build(cfg.gan, generator=build(cfg.generator))
    loader = batches(UPDATES)
    cfg.callbacks.compile.when = "never"
    trainer = L.Trainer(
        accelerator=accelerator,
        devices=1,
        precision=cfg.trainer.precision,
        max_epochs=1,
        deterministic="warn",
        logger=False,
        enable_checkpointing=True,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[*build_all(cfg.callbacks, "gan"), *extra],
    )
    trainer.fit(module, loader)
    return module, trainer


@pytest.fixture
def small(composed: Compose) -> Callable[..., Any]:
    def compose(*settings: str) -> Any:
        return composed(
            "quickstart",
            *settings,
            "schedule@gan.schedule=cosine",
            "gan.epochs=1",
            "health.every=4",
            "callbacks.progress=null",
            small=[
                "generator.filters=4",
                "generator.blocks=1",
                "discriminator.filters=2",
                "discriminator.dense=4",
                "data.crop=32",
            ],
        )

    return compose


def test_a_tape_holds_nothing_of_python() -> None:
    place, number = torch.ones(3), 1.0

    def work() -> Tensor:
        return place.mul_(2).add(number)

    result, replay = tape(work, None)
    assert torch.equal(place, torch.ones(3))
    number = 5.0
    for expected in (3.0, 5.0):
        replay()
        assert torch.equal(result, torch.full((3,), expected))
    with pytest.raises(RuntimeError, match="cannot be read from"):
        tape(lambda: place.sum().item(), None)


def same(one: Any, other: Any) -> None:
    assert len(tensors(one)) == len(tensors(other)) > 0
    for a, b in zip(tensors(one), tensors(other)):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)  # learning rates are read in fp32


@pytest.mark.parametrize(("variant", "counts"), VARIANTS.items())
def test_replayed_updates_equal_those_that_run(
    small: Callable[..., Any], recipe: Compose, variant: str, counts: tuple[int, int]
) -> None:
    """Compares weights, averages, optimisers, steps, learning rates and logged numbers."""
    if variant in RECIPES:
        cfg = recipe(variant, "health.every=4", "trainer.precision=32-true")
    else:
        cfg = small(*([] if variant.startswith("penalty") else ["penalty=none"]), variant)
    if variant == "penalty=r1":
        cfg.gan.penalty.every = 2
    on_tape = OnTape()
    (plain, expected), (replayed, trainer) = run(cfg), run(cfg, on_tape)
    assert (on_tape.recorded, on_tape.replays) == counts
    same(plain.state_dict(), replayed.state_dict())
    for a, b in zip(expected.optimizers, trainer.optimizers):
        same(a.state_dict(), b.state_dict())
        assert [group["lr"] for group in a.param_groups] == [g["lr"] for g in b.param_groups]
        assert not b.param_groups[0]["capturable"]
    assert expected.global_step == trainer.global_step > 0
    assert expected.callback_metrics.keys() == trainer.callback_metrics.keys()
    for name in expected.callback_metrics.keys() - {"speed/step_time", "speed/data_time"}:
        if not name.startswith("speed/"):
            same(expected.callback_metrics[name], trainer.callback_metrics[name])
    assert replayed.replay is None


def test_what_cannot_be_recorded_runs_as_it_is(
    small: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    def broken(work: Callable[[], Any], pool: Any) -> Any:
        tape(work, pool)
        raise RuntimeError("\nno such operation in a graph\nand more")

    cfg = small("penalty=none")
    on_tape = OnTape(broken)
    (plain, expected), (replayed, trainer) = run(cfg), run(cfg, on_tape)
    assert "could not be recorded, going on without: no such operation in a graph" in caplog.text
    assert caplog.text.count("could not be recorded") == 1
    assert on_tape.replays == 0
    assert trainer.global_step == expected.global_step
    same(plain.state_dict(), replayed.state_dict())


def test_recordings_are_made_anew_where_the_optimisers_are_loaded(
    small: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading gives their tensors new addresses; health loads them after a collapse."""

    class Load(L.Callback):
        def on_train_batch_end(
            self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
        ) -> None:
            if batch_idx == 5:
                for optimizer in trainer.optimizers:
                    optimizer.load_state_dict(optimizer.state_dict())

    cfg = small("penalty=none")
    pools = iter(range(9))
    monkeypatch.setattr("sr_gan.callbacks.replay._pool", lambda: next(pools))
    used: list[int] = []

    def record(work: Callable[[], Any], pool: Any) -> Any:
        used.append(pool)
        return tape(work, pool)

    on_tape = OnTape(record)
    (plain, _), (replayed, _) = run(cfg, Load()), run(cfg, on_tape, Load())
    assert (on_tape.recorded, on_tape.replays) == (2, 6)
    assert used[0] < used[1]  # a pool whose recordings are all gone is closed
    same(plain.state_dict(), replayed.state_dict())


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("variant", ["gan.ema=0.9", "penalty=r1", "gan.accumulate=2"])
def test_graphs_give_the_same_numbers_on_a_gpu(
    small: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    variant: str,
    precision: str,
) -> None:
    replays: list[None] = []
    replay = torch.cuda.CUDAGraph.replay
    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", lambda graph: replays.append(replay(graph)))
    results = []
    for when in ("never", "auto"):
        settings = [f"trainer.precision={precision}", f"callbacks.replay.when={when}"]
        cfg = small("penalty=none", variant, *settings)
        if variant == "penalty=r1":
            cfg.gan.penalty.every = 2
        results.append(run(cfg, accelerator="gpu"))
        assert len(replays) == (0 if when == "never" else VARIANTS[variant][1])
    assert "could not be recorded" not in caplog.text
    (plain, _), (replayed, _) = results
    for (name, a), b in zip(plain.state_dict().items(), replayed.state_dict().values()):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5, msg=name)


class Device:
    """CUDA's memory and streams as :func:`cuda_graph` sees them, in GB and by name."""

    def __init__(self, patch: pytest.MonkeyPatch, reserved: list[int], free: int) -> None:
        self.stream = "training"
        for name, value in {
            "CUDAGraph": lambda: SimpleNamespace(replay=lambda: None),
            "graph": self.graph,
            "empty_cache": lambda: None,
            "memory_reserved": lambda: reserved.pop(0) * 10**9,
            "mem_get_info": lambda: (free * 10**9, 6 * 10**9),
            "current_stream": lambda: self.stream,
            "set_stream": lambda stream: setattr(self, "stream", stream),
        }.items():
            patch.setattr(torch.cuda, name, value)

    @contextmanager
    def graph(self, *args: Any, **kwargs: Any) -> Iterator[None]:
        self.stream = "recording"  # where torch stays if the end of a recording fails
        yield


def test_a_recording_that_fails_leaves_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(monkeypatch, [1, 1], 5)
    with pytest.raises(ZeroDivisionError):
        cuda_graph(lambda: {"sr": 1 / 0}, None)
    assert device.stream == "training"


@pytest.mark.parametrize(("free", "recorded"), [(2, True), (1, False)])
def test_a_recording_leaves_memory_for_updates_that_run(
    monkeypatch: pytest.MonkeyPatch, free: int, recorded: bool
) -> None:
    Device(monkeypatch, [1, 3], free)
    if recorded:
        assert cuda_graph(lambda: {"sr": 1}, None)[0] == {"sr": 1}
    else:
        with pytest.raises(RuntimeError, match=r"takes 2\.00 GB, and .* have only 1\.00 GB"):
            cuda_graph(lambda: {"sr": 1}, None)


@pytest.mark.parametrize("when", ["auto", "never"])
def test_without_a_gpu_nothing_is_recorded(small: Callable[..., Any], when: Any) -> None:
    class Look(L.Callback):
        def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, *args: Any) -> None:
            assert pl_module.replay is None

    run(small("penalty=none", f"callbacks.replay.when={when}"), Look())


def test_a_compilers_gain_is_measured_on_replays(small: Callable[..., Any]) -> None:
    """The host's time does not count if updates are replayed."""
    calls: list[str] = []

    class Measure(L.Callback):
        def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, *args: Any) -> None:
            before = [x.clone() for x in pl_module.state_dict().values()]
            again = pl_module.replay.repeated(lambda: pl_module.rehearse(batch))
            update, pl_module.update = pl_module.update, lambda *args: calls.append("python")
            again()
            pl_module.update = update
            same(before, list(pl_module.state_dict().values()))
            assert pl_module.replay.repeated(unreadable) is unreadable

    def unreadable() -> None:
        torch.ones(2).sum().item()

    batch = next(iter(batches(1)))
    cfg = small("penalty=none")
    same(run(cfg)[0].state_dict(), run(cfg, OnTape(), Measure())[0].state_dict())
    assert calls == []
