"""Photos explained into folders: a bad one is named, the rest go on, and so does a later run."""

import multiprocessing
import shutil

import numpy as np
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
        assert names == ["explanation.json", "maps.npz", "report.html", "request.json"]
        assert Explanation.load(result.folder).target_name == "sun"
        assert "house.jpg" in (result.folder / "report.html").read_text(encoding="utf-8")


def test_several_processes_give_what_one_gives_and_go_on_as_one_does(
    tmp_path, photos, small_network
):
    def explain(paths, n_processes):
        out = tmp_path / str(n_processes)
        options = {"layers": ["layer4.1"], "n_processes": n_processes}
        return list(explain_files(small_network, paths, out, **options))

    alone = explain(photos, 1)
    shutil.copytree(tmp_path / "1" / "house", tmp_path / "2" / "house")
    together = explain(photos, 2)

    assert [result.is_old for result in together] == [True, False, False]
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


class TestGoingOn:
    """What an earlier run has explained is not explained again."""

    @pytest.fixture
    def explain(self, tmp_path, photos, small_network):
        """Explains the photos of one folder, always the same one unless told otherwise."""

        def explain(paths=photos[:1], **options):
            chosen = {"layers": ["layer4.1"], "target": "sun"} | options
            return list(explain_files(small_network, paths, tmp_path / "out", **chosen))

        return explain

    def test_what_was_asked_for_before_stays_as_it_is(self, explain):
        (first,) = explain()
        report = first.folder / "report.html"
        report.write_text("as it was")

        (again,) = explain()

        assert (first.is_old, again.is_old) == (False, True)
        assert report.read_text() == "as it was"
        assert again.folder == first.folder
        np.testing.assert_array_equal(
            again.explanation.layers[0].channel_weights,
            first.explanation.layers[0].channel_weights,
        )

    def test_only_what_is_missing_is_explained(self, explain, photos):
        explain()

        results = explain(photos)

        assert [result.is_old for result in results] == [True, False, False]
        assert [result.error is None for result in results] == [True, False, True]

    @pytest.mark.parametrize(
        "options",
        [{"target": "house"}, {"layers": ["layer3.1"]}, {"clusterer": "paper", "seed": 1}],
    )
    def test_other_options_are_another_request(self, explain, options):
        explain()

        (result,) = explain(**options)

        assert not result.is_old
        (other,) = explain()
        assert not other.is_old

    def test_another_photo_of_the_same_name_is_explained(self, explain, photos, drawn_picture):
        explain()
        drawn_picture.rotate(180).save(photos[0])

        (result,) = explain()

        assert not result.is_old

    @pytest.mark.parametrize(
        "lost", ["explanation.json", "maps.npz", "report.html", "request.json"]
    )
    def test_a_folder_that_is_not_whole_is_made_anew(self, explain, lost):
        (first,) = explain()
        (first.folder / lost).unlink()

        (result,) = explain()

        assert not result.is_old
        assert (first.folder / lost).exists()

    def test_a_damaged_file_is_made_anew(self, explain):
        (first,) = explain()
        (first.folder / "request.json").write_text("{")

        assert not explain()[0].is_old

    def test_what_breaks_off_does_not_pass_for_what_was_there(self, explain, monkeypatch):
        explain()
        with monkeypatch.context() as patch:
            patch.setattr("app.explain.files.report_html", lambda *_, **__: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                explain(target="house")

        (result,) = explain()

        assert not result.is_old
        assert result.explanation.target_name == "sun"
