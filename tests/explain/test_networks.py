"""Loading networks: by name, by description, from safetensors, and what is refused."""

import json
import pickle
import sys

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file, save_model
from torchvision.transforms import functional as transforms

from app.explain import (
    LayerError,
    NetworkError,
    explain_image,
    list_layers,
    load_network,
    open_picture,
)

from .conftest import SHARED_DATA

CLASSES = ["cat", "dog", "bird"]


@pytest.fixture(scope="module")
def small_weights() -> dict[str, torch.Tensor]:
    network = load_network("squeezenet1_1", weights="random", classes=CLASSES, device="cpu")
    # On a CPU a network holds its channels last, which safetensors' save_file refuses.
    return {key: value.contiguous() for key, value in network.module.state_dict().items()}


@pytest.fixture
def description(tmp_path, small_weights):
    """A description file in half precision; a function that writes it with changes."""

    def write(**changes):
        halves = {key: value.half() for key, value in small_weights.items()}
        save_file(halves, tmp_path / "small.safetensors")
        entries = {
            "architecture": "squeezenet1_1",
            "classes": CLASSES,
            "input_size": 64,
            "resize": 80,
            "mean": [0.5, 0.4, 0.3],
            "std": [0.2, 0.25, 0.3],
            "weights": "small.safetensors",
        } | changes
        entries = {key: value for key, value in entries.items() if value is not None}
        (tmp_path / "small.json").write_text(json.dumps(entries))
        return tmp_path / "small.json"

    return write


def test_description_file_says_everything(description, small_weights):
    network = load_network(description(), device="cpu")

    assert (network.name, network.architecture) == ("small", "squeezenet1_1")
    assert network.classes == tuple(CLASSES)
    assert (network.input_size, network.resize) == (64, 80)
    assert (network.mean, network.std) == ((0.5, 0.4, 0.3), (0.2, 0.25, 0.3))
    assert not network.module.training
    for key, value in network.module.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, small_weights[key].half().float())


def test_torchvision_name_brings_its_own_preprocessing_and_classes():
    network = load_network("efficientnet_b1", weights="random", device="cpu")

    assert (network.resize, network.input_size) == (255, 240)
    assert network.classes[0] == "tench"
    assert len(network.classes) == 1000


def test_preprocessing_is_torchvisions(drawn_picture, small_network):
    published = torchvision.models.ResNet18_Weights.DEFAULT.transforms()

    torch.testing.assert_close(
        small_network.preprocess(drawn_picture), published(drawn_picture), rtol=0, atol=1e-6
    )


def test_view_is_what_the_network_gets(drawn_picture, small_network):
    view = transforms.to_tensor(small_network.view(drawn_picture))

    seen = transforms.normalize(view, small_network.mean, small_network.std)
    assert torch.equal(seen, small_network.preprocess(drawn_picture))


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (256, 256), (60, 500)])
def test_larger_view_shows_the_same_region(size, small_network):
    rows, columns = np.mgrid[: size[1], : size[0]]
    picture = Image.fromarray(
        np.dstack([rows * 255 / size[1], columns * 255 / size[0], rows * 0 + 90]).astype(np.uint8)
    )

    large = small_network.view(picture, 448)

    assert large.size == (448, 448)
    shrunk = large.resize((224, 224), Image.Resampling.BOX)
    difference = np.abs(np.subtract(shrunk, small_network.view(picture), dtype=float))
    assert difference.max() <= 3


def test_view_turns_a_rotated_photo_upright(small_network):
    picture = Image.new("RGB", (300, 200), "white")
    picture.paste("black", (150, 0, 300, 200))
    picture.getexif()[0x0112] = 6

    view = small_network.view(picture)

    assert view.getpixel((112, 10)) == (255, 255, 255)
    assert view.getpixel((112, 213)) == (0, 0, 0)


def test_random_weights_follow_the_seed():
    one, same, other = (
        load_network("squeezenet1_1", weights="random", seed=seed, device="cpu").weights_sha256
        for seed in (1, 1, 2)
    )

    assert one == same != other


def test_hash_is_the_same_from_a_file(tmp_path, small_weights):
    save_file(small_weights, tmp_path / "w.safetensors")

    from_file = load_network(
        "squeezenet1_1", weights=tmp_path / "w.safetensors", classes=CLASSES, device="cpu"
    )

    random = load_network("squeezenet1_1", weights="random", classes=CLASSES, device="cpu")
    assert from_file.weights_sha256 == random.weights_sha256


@pytest.mark.parametrize(
    ("name", "content"), [("c.txt", "cat\ndog\n\n bird \n"), ("c.json", json.dumps(CLASSES))]
)
def test_classes_come_from_a_file(tmp_path, name, content):
    (tmp_path / name).write_text(content)

    network = load_network("squeezenet1_1", weights="random", classes=tmp_path / name, device="cpu")

    assert network.classes == tuple(CLASSES)


@pytest.mark.parametrize("name", ["inception_v3", "googlenet"])
def test_weights_with_heads_that_only_help_training_fit(tmp_path, name):
    trained = torchvision.models.get_model(
        name, weights=None, num_classes=3, aux_logits=True, init_weights=False
    )
    save_file(trained.state_dict(), tmp_path / "w.safetensors")

    network = load_network(name, weights=tmp_path / "w.safetensors", classes=CLASSES, device="cpu")

    with torch.no_grad():
        assert network.module(torch.zeros(1, 3, 96, 96)).shape == (1, 3)


def test_cuda_is_used_where_there_is_one():
    network = load_network("squeezenet1_1", weights="random", classes=CLASSES)

    assert network.device.type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert next(network.module.parameters()).device.type == network.device.type


def test_unknown_name_suggests_near_ones():
    with pytest.raises(NetworkError, match=r"named 'resnet19'; did you mean .*resnet18"):
        load_network("resnet19")


@pytest.mark.parametrize("ending", ["pth", "pt", "bin", "pkl"])
def test_pickles_are_refused_with_the_way_to_convert_them(tmp_path, ending):
    path = tmp_path / f"weights.{ending}"
    path.write_bytes(pickle.dumps({"a": 1}))

    for arguments in ({"name": "vgg16", "weights": path}, {"name": path}):
        with pytest.raises(NetworkError, match=r"safetensors\.torch\.save_file\(torch\.load\("):
            load_network(**arguments)


def test_published_weights_that_cannot_be_reached_say_what_to_do(monkeypatch):
    def offline(*_args, **_kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr(torchvision.models.AlexNet_Weights, "get_state_dict", offline)

    with pytest.raises(NetworkError, match=r"no route to host.*use weights 'random' or a"):
        load_network("alexnet")


def test_published_weights_are_read_as_tensors_only(monkeypatch):
    asked = {}
    state = torchvision.models.get_model("squeezenet1_1", weights=None).state_dict()

    def published(_self, **options):
        asked.update(options)
        return state

    monkeypatch.setattr(torchvision.models.SqueezeNet1_1_Weights, "get_state_dict", published)

    network = load_network("squeezenet1_1", device="cpu")

    assert asked["weights_only"]
    assert asked["check_hash"]
    assert network.classes[0] == "tench"


def test_old_names_in_published_densenets_are_understood(monkeypatch):
    state = torchvision.models.get_model("densenet121", weights=None).state_dict()
    old = {
        key.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): value
        for key, value in state.items()
    }
    monkeypatch.setattr(
        torchvision.models.DenseNet121_Weights, "get_state_dict", lambda _self, **_options: old
    )

    assert load_network("densenet121", device="cpu").weights_sha256


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": None}, "lacks the key 'architecture'"),
        ({"weights": None}, "lacks the key 'weights'"),
        ({"classes": []}, "'classes' must be a list of names"),
        ({"input_size": "big"}, "'input_size' must be a number of pixels, not 'big'"),
        ({"mean": [1, 2]}, "'mean' must be three numbers, or one, not"),
        ({"mean": 3}, "'mean' must be three numbers, or one, not"),
        ({"mean": [0.5]}, "mean has 1 numbers, but std has 3"),
        ({"interpolation": "best"}, "'interpolation' must be bilinear or bicubic, not 'best'"),
        ({"num_classes": 5}, "names 3 classes, but its num_classes is 5"),
        ({"resize": 10}, r"resize \(10\) is below input_size \(64\)"),
        ({"architecture": "resnet"}, "no classifier named 'resnet'"),
        ({"classes": ["a", "b"]}, "answers with 3 classes, but 2 are named"),
        ({"weights": "none.safetensors"}, "There is no weights file"),
        ({"architecture": "alexnet"}, r"does not fit alexnet: tensors \d+ missing \(first: "),
    ],
)
def test_faulty_description_is_refused_with_the_reason(description, changes, message):
    with pytest.raises(NetworkError, match=message):
        load_network(description(**changes))


def test_interpolation_of_a_description_is_used(description):
    noise = np.random.default_rng(0).integers(0, 255, (300, 300, 3), dtype=np.uint8)
    picture = Image.fromarray(noise)

    views = [
        load_network(description(interpolation=how), device="cpu").view(picture).tobytes()
        for how in (None, "bilinear", "bicubic")
    ]

    assert views[0] == views[1] != views[2]


def test_description_that_is_no_json_is_refused(tmp_path):
    (tmp_path / "a.json").write_text("{")

    with pytest.raises(NetworkError, match="not valid JSON"):
        load_network(tmp_path / "a.json")
    with pytest.raises(NetworkError, match="There is no file"):
        load_network(tmp_path / "b.json")


def test_damaged_weights_are_refused(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"\xff" * 100)

    with pytest.raises(NetworkError, match="damaged or not a safetensors file"):
        load_network("squeezenet1_1", weights=tmp_path / "w.safetensors", classes=CLASSES)


def test_misshaped_tensor_is_named(tmp_path, small_weights):
    weights = dict(small_weights)
    weights["features.0.weight"] = torch.zeros(64, 3, 5, 5)
    weights["extra"] = torch.zeros(1)
    save_file(weights, tmp_path / "w.safetensors")

    with pytest.raises(
        NetworkError,
        match=r"1 unexpected \(first: extra\); 1 of another shape \(first: features.0.weight, ",
    ):
        load_network("squeezenet1_1", weights=tmp_path / "w.safetensors", classes=CLASSES)


@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
def test_weights_that_are_no_numbers_are_named(tmp_path, small_weights, broken):
    weights = {key: value.clone() for key, value in small_weights.items()}
    weights["features.3.squeeze.bias"][0] = broken
    save_file(weights, tmp_path / "w.safetensors")

    with pytest.raises(NetworkError, match=r"NaN or infinite .* first in features.3.squeeze.bias"):
        load_network("squeezenet1_1", weights=tmp_path / "w.safetensors", classes=CLASSES)


def test_a_file_with_one_logit_answers_with_two_classes(tmp_path, drawn_picture):
    one_logit = torchvision.models.get_model("squeezenet1_1", weights=None, num_classes=1)
    save_file(one_logit.state_dict(), tmp_path / "w.safetensors")

    network = load_network(
        "squeezenet1_1", weights=tmp_path / "w.safetensors", classes=["no", "yes"], device="cpu"
    )
    explanation = explain_image(network, drawn_picture, target="yes", layers=["features.12"])

    with torch.no_grad():
        logit = network.module(network.preprocess(drawn_picture)[None])
    assert logit.shape == (1, 1)
    assert explanation.probability == pytest.approx(float(logit.sigmoid()), abs=1e-6)


@pytest.mark.parametrize("architecture", ["squeezenet1_1", "resnet18", "plain10"])
def test_one_number_as_mean_is_a_grey_scale_network(tmp_path, drawn_picture, architecture):
    (tmp_path / "grey.json").write_text(
        json.dumps(
            {
                "architecture": architecture,
                "classes": CLASSES,
                "input_size": 64,
                "mean": [0.5],
                "std": [0.25],
                "weights": "grey.safetensors",
            }
        )
    )
    random = load_network(tmp_path / "grey.json", weights="random", device="cpu")
    save_model(random.module, str(tmp_path / "grey.safetensors"))

    network = load_network(tmp_path / "grey.json", device="cpu")

    assert network.weights_sha256 == random.weights_sha256
    expected = (np.asarray(network.view(drawn_picture).convert("L")) / 255 - 0.5) / 0.25
    np.testing.assert_allclose(network.preprocess(drawn_picture)[0], expected, atol=1e-6)
    assert explain_image(network, drawn_picture).layers


def test_network_loaded_in_inference_mode_can_be_explained(drawn_picture):
    with torch.inference_mode():
        network = load_network("squeezenet1_1", weights="random", classes=CLASSES, device="cpu")

    assert not any(parameter.is_inference() for parameter in network.module.parameters())


class TestTimm:
    """Networks of timm's by name, where it is installed."""

    NAME = "timm:resnet10t.c3_in1k"

    @pytest.fixture(autouse=True)
    def timm(self):
        return pytest.importorskip("timm")

    def test_a_name_brings_its_own_preprocessing_and_classes(self):
        network = load_network(self.NAME, weights="random", device="cpu")

        assert (network.name, network.architecture) == ("resnet10t.c3_in1k", self.NAME)
        # 176 px, of a short side of 176 / 0.875 px.
        assert (network.resize, network.input_size) == (201, 176)
        assert network.interpolation == transforms.InterpolationMode.BICUBIC
        assert (len(network.classes), network.classes[1]) == (1000, "goldfish")

    def test_preprocessing_is_timms(self, timm, drawn_picture):
        network = load_network(self.NAME, weights="random", device="cpu")

        config = timm.data.resolve_data_config(
            pretrained_cfg=timm.get_pretrained_cfg("resnet10t.c3_in1k").to_dict()
        )
        theirs = timm.data.create_transform(**config, is_training=False)
        torch.testing.assert_close(
            network.preprocess(drawn_picture), theirs(drawn_picture), rtol=0, atol=0.02
        )

    def test_classes_of_other_data_sets_are_timms(self):
        network = load_network("timm:resnetv2_50x1_bit.goog_in21k", weights="random", device="cpu")

        assert len(network.classes) == 21_843

    def test_published_weights_are_read_from_the_hubs_safetensors_file(
        self, timm, tmp_path, monkeypatch
    ):
        weights = timm.create_model("resnet10t", pretrained=False).state_dict()
        save_file(weights, tmp_path / "model.safetensors")
        asked = []

        def download(repository, file):
            asked.append((repository, file))
            return str(tmp_path / "model.safetensors")

        monkeypatch.setattr("huggingface_hub.hf_hub_download", download)

        network = load_network(self.NAME, device="cpu")

        assert asked == [("timm/resnet10t.c3_in1k", "model.safetensors")]
        assert torch.equal(network.module.state_dict()["conv1.0.weight"], weights["conv1.0.weight"])

    def test_published_weights_that_cannot_be_reached_say_what_to_do(self, monkeypatch):
        def offline(*_args):
            raise OSError("no route to host")

        monkeypatch.setattr("huggingface_hub.hf_hub_download", offline)

        with pytest.raises(NetworkError, match=r"no route to host.*use weights 'random' or a"):
            load_network(self.NAME)

    def test_a_description_and_a_file_of_ones_own(self, timm, tmp_path, drawn_picture):
        trained = timm.create_model("resnet10t", pretrained=False, num_classes=3, in_chans=1)
        save_file(trained.state_dict(), tmp_path / "own.safetensors")
        (tmp_path / "own.json").write_text(
            json.dumps(
                {
                    "architecture": "timm:resnet10t",
                    "classes": CLASSES,
                    "input_size": 96,
                    "mean": [0.5],
                    "std": [0.5],
                    "weights": "own.safetensors",
                }
            )
        )

        explanation = explain_image(
            load_network(tmp_path / "own.json", device="cpu"), drawn_picture
        )

        assert [layer.name for layer in explanation.layers] == [
            f"layer{i}.0.act2" for i in (2, 3, 4)
        ]

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("timm:resnet19", r"named 'timm:resnet19'; did you mean .*timm:resnet18"),
            (
                "timm:resnet18.a9_in1k",
                r"no 'timm:resnet18.a9_in1k'; did you mean .*timm:resnet18.a",
            ),
            ("timm:hf-hub:someone/model", "no classifier named 'timm:hf-hub:someone/model'"),
        ],
    )
    def test_unknown_names_suggest_near_ones(self, name, message):
        with pytest.raises(NetworkError, match=message):
            load_network(name, weights="random")

    @pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
    def test_its_vision_transformers_are_refused(self, name):
        network = load_network(f"timm:{name}", weights="random", device="cpu")

        with pytest.raises(LayerError, match="only convolutional networks can be explained"):
            list_layers(network)

    @pytest.mark.parametrize(
        "name", ["cspdarknet53", "mobilenetv3_small_050", "convnext_atto", "densenet121", "dla34"]
    )
    def test_its_convolutional_networks_have_layers(self, name):
        places = list_layers(load_network(f"timm:{name}", weights="random", device="cpu"))

        assert [place for place in places if place.is_default]


def test_networks_of_timm_need_timm(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)

    with pytest.raises(NetworkError, match="timm, which is not installed: pip install timm"):
        load_network("timm:resnet18")


def test_photonet_answers_its_test_photos_as_in_training(photonet):
    # Every seventh of the 280 test photos; on all of them it is 0.825, as its description says.
    right = []
    for index, name in enumerate(photonet.classes):
        photos = sorted((SHARED_DATA / "photos" / "test" / name).iterdir())[::7]
        batch = torch.stack([photonet.preprocess(open_picture(photo)) for photo in photos])
        with torch.no_grad():
            right += (photonet.module(batch).argmax(1) == index).tolist()

    assert sum(right) / len(right) == pytest.approx(0.825, abs=0.1)
