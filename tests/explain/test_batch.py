"""Explaining many files: each gets its folder, a bad one is named, the rest go on."""

import pytest

from app.explain import Explanation, LayerError, explain_files, explain_image


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
