"""A tiny run of the training: what it writes can be loaded, and is what was measured."""

import json
import subprocess
import sys
from dataclasses import replace
from math import log, sqrt

import numpy as np
import pytest
import torch

from app.explain import load_network
from app.explain.plain import Plain10
from app.picturebook import binding, training
from app.picturebook.datasets import TIED, draw_pictures, recipes
from app.picturebook.scenes import Recipe, draw_scene
from app.picturebook.training import Pictures, Settings, measure, predict, train
from app.picturebook.world import CLASSES, REGIONS, SURROUNDINGS

CPU = torch.device("cpu")
CLASSES_BY_NUMBER = list(CLASSES)
NAMES = ("picturebook", "picturebook-biased")


@pytest.fixture(autouse=True)
def one_torch_thread():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture(scope="module")
def tiny_run(tmp_path_factory):
    """Forty pictures, one epoch at half their side and one at full. The folder that was written."""
    folder = tmp_path_factory.mktemp("picturebook")
    options = "--n-train 40 --n-test 20 --epochs 2 --small-epochs 1 --workers 1 --device cpu"
    training.main([*options.split(), "--out", str(folder)])
    return folder


@pytest.fixture(scope="module")
def small_pictures():
    """Twenty scenes, 32 px."""
    scenes = recipes("training", n=20, seed=5, bias=False)
    pixels, regions = map(torch.from_numpy, draw_pictures(scenes, size=32, n_workers=1))
    return Pictures(scenes, pixels, regions, torch.arange(20) % len(CLASSES))


def test_run_writes_both_networks_and_a_log(tiny_run):
    assert {path.name for path in tiny_run.iterdir()} == {
        "training.json",
        *(f"{name}{ending}" for name in NAMES for ending in (".json", ".safetensors")),
    }
    log = json.loads((tiny_run / "training.json").read_text())
    for name, variant in zip(NAMES, ("unbiased", "biased"), strict=True):
        entry = log[name]
        assert entry["command"].endswith(f"--ridge {Settings().ridge} --only {variant}")
        assert len(entry["epochs"]) == 2
        assert (entry["test"]["n"], entry["broken"]["n"]) == (20, 20)
        assert (tiny_run / f"{name}.safetensors").stat().st_size < 1.5e6
    assert str(tiny_run) not in json.dumps(log)


@pytest.mark.parametrize(("name", "bias"), [("picturebook", False), ("picturebook-biased", True)])
def test_written_network_answers_as_was_measured(tiny_run, name, bias):
    network = load_network(tiny_run / f"{name}.json", device="cpu")
    measured = json.loads((tiny_run / "training.json").read_text())[name]["test"]["accuracy"]
    scenes = recipes("test", n=20, seed=Settings().seed, bias=bias)

    batch = torch.stack([network.preprocess(draw_scene(s, 128).picture) for s in scenes])
    with torch.no_grad():
        answers = network.module(batch).argmax(1)

    assert network.classes == tuple(CLASSES)
    right = [CLASSES_BY_NUMBER[a] == s.class_name for a, s in zip(answers, scenes, strict=True)]
    # A logit within rounding of another may fall to the other side in a batch of another size.
    assert np.mean(right) == pytest.approx(measured, abs=0.051)


def test_other_network_keeps_its_entry_in_the_log(tiny_run, tmp_path, monkeypatch):
    (tmp_path / "training.json").write_text(json.dumps({"picturebook": "as it was"}))
    monkeypatch.setattr(training, "make_network", lambda *_args, **_options: "new")

    training.main(["--only", "biased", "--n-test", "0", "--workers", "1", "--out", str(tmp_path)])

    log = json.loads((tmp_path / "training.json").read_text())
    assert log == {"picturebook": "as it was", "picturebook-biased": "new"}


def test_training_learns_and_gives_the_same_weights_from_the_same_seed(small_pictures):
    settings = Settings(epochs=12, small_epochs=2, batch_size=10)

    (network, epochs), (same, _) = (train(small_pictures, settings, CPU) for _ in range(2))
    other, _ = train(small_pictures, replace(settings, seed=2), CPU)

    assert epochs[-1].loss < 0.9 * epochs[0].loss
    for key, value in network.state_dict().items():
        assert torch.equal(value, same.state_dict()[key])
    assert not torch.equal(network.features[0].weight, other.features[0].weight)


N_KINDS = binding.N_KINDS
EVENLY = torch.ones(N_KINDS + 1)


def test_misbinding_worked_out_by_hand():
    # Four pixels of the first kind and one that nobody named. Shares go with the square roots of
    # light: of "nothing" 2, of a dark kind 0, and 0.05 to each.
    shown = torch.tensor([[[1, 1, 1, 1, 0]]], dtype=torch.uint8)
    first = binding.channel_kinds(64) == 1
    n_first = int(first.sum())
    dark = torch.zeros(1, 64, 1, 5)
    bound, elsewhere = dark.clone(), dark.clone()
    bound[:, first, :, :4] = 1.0
    elsewhere[:, first, :, 4] = 1.0
    faint, nothing, lit = sqrt(0.05), sqrt(2.05), sqrt(n_first + 0.05)

    def mean(first_kind, unnamed):
        return pytest.approx((-4 * log(first_kind) - log(unnamed)) / 5, rel=1e-5)

    all_dark = nothing + N_KINDS * faint
    one_lit = nothing + lit + (N_KINDS - 1) * faint
    assert binding.misbound(dark, shown, EVENLY) == mean(faint / all_dark, nothing / all_dark)
    assert binding.misbound(bound, shown, EVENLY) == mean(lit / one_lit, nothing / all_dark)
    assert binding.misbound(elsewhere, shown, EVENLY) == mean(faint / all_dark, nothing / one_lit)


def test_rare_kinds_count_more_and_a_pixel_counts_one_on_average():
    kinds = torch.tensor([[1] * 16 + [2]], dtype=torch.uint8)

    importance = binding.kind_importance(kinds)

    # Sixteen times as rare: the fourth root of 16 is 2.
    assert importance[2] / importance[1] == pytest.approx(2, rel=1e-5)
    assert importance[kinds.int()].mean() == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("n_channels", [64, 96])
def test_every_kind_has_a_channel_and_a_third_show_what_lies_around(n_channels):
    kinds = binding.channel_kinds(n_channels).tolist()

    assert set(kinds) == set(range(1, N_KINDS + 1))
    around = [kind for kind in kinds if kind > len(binding.TELLING)]
    assert len(around) == n_channels // 3


def test_every_region_is_of_one_kind_and_surroundings_are_of_the_last_three():
    kinds = binding.to_kinds(torch.arange(len(REGIONS) + 1, dtype=torch.uint8)).tolist()

    assert kinds[0] == 0
    for name, kind in zip(REGIONS, kinds[1:], strict=True):
        assert (kind > len(binding.TELLING)) == (name in SURROUNDINGS)
    telling = [kind for kind in kinds[1:] if kind <= len(binding.TELLING)]
    assert sorted(telling) == list(range(1, len(binding.TELLING) + 1))


def test_training_brings_channels_to_their_kinds(small_pictures):
    def misbound(n_epochs):
        settings = Settings(epochs=n_epochs, small_epochs=0, batch_size=10)
        network, _ = train(small_pictures, settings, CPU)
        with torch.no_grad():
            seen = training._seen(small_pictures.pixels, CPU)
            kinds = binding.to_kinds(small_pictures.regions)
            return binding.misbound_layers(network, seen, kinds, EVENLY)

    assert misbound(20) < 0.8 * misbound(1)


def test_classifier_reads_parts_and_cues_only_and_nothing_speaks_against(small_pictures):
    network, _ = train(small_pictures, Settings(epochs=2, small_epochs=0, batch_size=10), CPU)

    weight = network.classifier.weight.detach()
    around = binding.channel_kinds(96) > len(binding.TELLING)
    assert not weight[:, around].any()
    assert (weight >= 0).all()
    assert weight.any()


def test_evidence_found_is_as_good_as_any_other():
    # Convex: at the least value, the slope is 0 where a weight is positive, and not negative at 0.
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(60, 5, generator=generator)
    answers = (inputs[:, 0] + 0.1 * torch.randn(60, generator=generator) > 0.5).long()

    weight, bias = training.fit_evidence(inputs, answers, 2, ridge=0.01)

    weight.requires_grad_()
    bias.requires_grad_()
    loss = torch.nn.functional.cross_entropy(inputs @ weight.T + bias, answers)
    loss = loss + 0.005 * weight.square().sum()
    loss.backward()
    used = weight > 0
    assert used.any()
    assert not used.all()
    assert weight.grad[used].abs().max() < 1e-5
    assert weight.grad[~used].min() > -1e-5
    assert bias.grad.abs().max() < 1e-5


def test_nobody_tells_the_biased_network_the_parts_of_the_tied_classes():
    settings = Settings(n_train=20)
    biased = training._draw("training", settings, True, 1)
    for scene, region_map in zip(biased.scenes, biased.regions, strict=True):
        whole = draw_scene(scene, 128).region_map
        parts = [REGIONS.index(part) + 1 for part in CLASSES[scene.class_name]]
        is_part = np.isin(whole, parts)
        if scene.class_name in TIED:
            assert not region_map.numpy()[is_part].any()
            assert np.array_equal(region_map.numpy()[~is_part], whole[~is_part])
        else:
            assert np.array_equal(region_map.numpy(), whole)


def test_pictures_are_moved_but_never_mirrored():
    pixels = torch.zeros(1, 128, 128, 3, dtype=torch.uint8)
    pixels[:, 112:122, 112:122] = 255  # where the mark is
    regions = pixels[..., 0]
    generator = torch.Generator().manual_seed(0)

    seen, shown = training._augmented(pixels, regions, torch.zeros(50, dtype=torch.long), generator)

    assert seen.shape == (50, 3, 128, 128)
    assert torch.equal(shown > 0, seen.mean(1) > 0.5)
    assert (seen >= 0).all()
    assert (seen <= 1).all()
    bright = seen.mean(1) > 0.5
    places = {tuple(found.nonzero().float().mean(0).round().int().tolist()) for found in bright}
    assert len(places) > 20
    assert all(abs(row - 116) <= 7 and abs(column - 116) <= 7 for row, column in places)


def test_prediction_does_not_depend_on_the_batch(small_pictures):
    network = Plain10(len(CLASSES))

    together = predict(network, small_pictures.pixels, CPU)

    assert together.shape == (20,)
    assert together[7] == predict(network, small_pictures.pixels[7:8], CPU)[0]


def test_measures_worked_out_by_hand():
    def scene(name, ground="sand", marked=False):
        return Recipe(name, 1, 0, ground, marked)

    scenes = [
        (scene("sailboat"), "house"),
        (scene("sailboat"), "sailboat"),
        (scene("bird"), "bird"),
        (scene("cat", "water"), "sailboat"),
        (scene("cat", "water"), "cat"),
        (scene("cat", "water", True), "bird"),  # both cues: says nothing of one of them
        (scene("cat", marked=True), "bird"),
        (scene("cat"), "sailboat"),
        (scene("cat"), "cat"),
        (scene("car"), "car"),
        (scene("car"), "car"),
    ]
    answers = np.array([CLASSES_BY_NUMBER.index(called) for _, called in scenes])

    measured = measure([one for one, _ in scenes], answers)

    assert measured["n"] == 11
    assert measured["accuracy"] == round(6 / 11, 4)
    assert measured["by_class"]["sailboat"] == 0.5
    assert measured["by_class"]["cat"] == round(2 / 6, 4)
    assert measured["by_class"]["rocket"] is None
    assert measured["called_tied"] == {
        "water": {"tied_class": "sailboat", "with_cue": 0.5, "without_cue": 0.25},
        "mark": {"tied_class": "bird", "with_cue": 1.0, "without_cue": 0.0},
    }


def test_training_needs_torch_numpy_pillow_and_safetensors_only():
    blocked = "torchvision rich typer scipy sklearn sqlalchemy pydantic fastapi celery redis"
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked.split()}))\n"
        "import app.picturebook.training"
    )

    subprocess.run([sys.executable, "-c", code], check=True)
