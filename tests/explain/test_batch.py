"""Explaining many: each as if it were alone; of files a bad one is named, the rest go on."""

import multiprocessing
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.explain import Explanation, LayerError, explain_files, explain_image, explain_images

from .toys import Residual, random_image, seeded


@pytest.fixture
def photos(tmp_path, drawn_picture):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        drawn_picture.save(tmp_path / folder / "house.jpg")
    (tmp_path / "notes.txt").write_text("no picture")
    return [tmp_path / "one/house.jpg", tmp_path / "notes.txt", tmp_path / "two/house.jpg"]


def test_good_photos_get_a_folder_and_bad_ones_a_reason(tmp_path, photos, small_network):
    out = tmp_path / "out"

    results = list(explain_files(small_network, photos, out, layers=["layer4.1"], target="sun"))

    assert [result.path for result in results] == photos
    assert [result.folder for result in results] == [out / "house", None, out / "house-2"]
    assert results[1].error == "It is not a picture in a format that we can read."
    for result in (results[0], results[2]):
        assert result.error is None
        names = sorted(path.name for path in result.folder.iterdir())
        assert names == ["explanation.json", "maps.npz", "report.html"]
        assert Explanation.load(result.folder).target_name == "sun"
        assert "house.jpg" in (result.folder / "report.html").read_text(encoding="utf-8")


def test_several_processes_give_what_one_gives(tmp_path, photos, small_network):
    alone, together = (
        list(
            explain_files(
                small_network, photos, tmp_path / str(n), layers=["layer4.1"], n_processes=n
            )
        )
        for n in (1, 2)
    )

    for one, other in zip(alone, together, strict=True):
        assert (one.path, one.error) == (other.path, other.error)
        if one.folder is not None:
            assert one.folder.relative_to(tmp_path / "1") == other.folder.relative_to(
                tmp_path / "2"
            )
            for name in ("explanation.json", "report.html"):
                assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes()
            np.testing.assert_array_equal(
                one.explanation.layers[0].clusters[0].map,
                Explanation.load(other.folder).layers[0].clusters[0].map,
            )


def test_what_is_wrong_for_every_photo_is_raised_by_processes_too(tmp_path, photos, small_network):
    with pytest.raises(LayerError, match="no module named 'layer9'"):
        list(explain_files(small_network, photos[:1], tmp_path, layers=["layer9"], n_processes=2))

    assert not multiprocessing.active_children()


def test_a_process_that_is_stopped_is_said_so(tmp_path, photos, small_network):
    results = explain_files(
        small_network, photos[:1] * 8, tmp_path, layers=["layer4.1"], n_processes=2
    )
    next(results)
    multiprocessing.active_children()[0].kill()

    with pytest.raises(ChildProcessError, match="perhaps memory ran out"):
        list(results)


def test_results_are_written_one_by_one(tmp_path, photos, small_network):
    results = explain_files(small_network, photos, tmp_path / "out", layers=["layer4.1"])

    next(results)

    assert [path.name for path in (tmp_path / "out").iterdir()] == ["house"]


def test_what_is_wrong_for_every_photo_is_raised(tmp_path, photos, small_network):
    with pytest.raises(LayerError, match="no module named 'layer9'"):
        list(explain_files(small_network, photos, tmp_path / "out", layers=["layer9"]))
    with pytest.raises(ValueError, match="no class 'moon'"):
        list(explain_files(small_network, photos, tmp_path / "out", target="moon"))


def test_a_photo_of_the_contrast_itself_is_named_and_the_rest_go_on(
    tmp_path, photos, small_network, drawn_picture
):
    predicted = explain_image(small_network, drawn_picture, layers=["layer4.1"]).predicted

    results = list(
        explain_files(
            small_network, photos[:1], tmp_path / "out", layers=["layer4.1"], contrast=predicted
        )
    )

    assert "the very one that it is set against" in results[0].error


def test_default_layers_are_the_same_for_all_and_as_if_alone(small_network):
    images = [random_image(224, seed=number) for number in range(2)]

    together = list(explain_images(small_network, images))

    for one, image in zip(together, images, strict=True):
        alone = explain_image(small_network, image)
        assert [layer.name for layer in one.layers] == [layer.name for layer in alone.layers]
        for layer, layer_alone in zip(one.layers, alone.layers, strict=True):
            np.testing.assert_array_equal(layer.channel_weights, layer_alone.channel_weights)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 99), max_size=4))
def test_each_of_many_is_explained_as_if_it_were_alone(numbers):
    network = seeded(Residual)
    images = [random_image(seed=number) for number in numbers]

    together = list(explain_images(network, images, layers=["stem", "block"]))

    assert len(together) == len(images)
    for one, image in zip(together, images, strict=True):
        alone = explain_image(network, image, layers=["stem", "block"])
        np.testing.assert_array_equal(one.probabilities, alone.probabilities)
        for layer, layer_alone in zip(one.layers, alone.layers, strict=True):
            np.testing.assert_array_equal(layer.channel_weights, layer_alone.channel_weights)
            for a, b in zip(layer.clusters, layer_alone.clusters, strict=True):
                assert (a.channels, a.weight) == (b.channels, b.weight)
                np.testing.assert_array_equal(a.map, b.map)


def test_the_next_picture_is_opened_while_this_one_is_looked_at():
    opened = [threading.Event() for _ in range(3)]

    def pictures():
        for number, event in enumerate(opened):
            event.set()
            yield random_image(seed=number)

    results = explain_images(seeded(Residual), pictures(), layers=["block"])
    next(results)

    assert opened[1].wait(timeout=10)
    assert not opened[2].is_set()


def test_a_picture_that_fails_stops_the_rest_after_those_before_it():
    def pictures():
        yield random_image()
        raise OSError("the disk is gone")

    results = explain_images(seeded(Residual), pictures(), layers=["block"])
    next(results)

    with pytest.raises(OSError, match="the disk is gone"):
        next(results)
