"""The command line as a person types it: what it writes, what it says, its exit status."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from numpy.typing import NDArray

from app import cli
from app.cli import data, studying
from app.infra.db import make_engine, session_factory
from app.infra.settings import get_settings
from app.infra.storage import Storage
from app.picturebook.scenes import Recipe
from app.services import accounts, labels, studies
from app.services.simulation import Simulation
from tests.scene_study import add_scene, make_scene_study


@dataclass(frozen=True)
class Answer:
    status: int
    out: str
    err: str


Layerplay = Callable[..., Answer]


@pytest.fixture
def layerplay(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Layerplay]:
    """Run a command in this process: a new one would import torch every time."""

    def layerplay(*arguments: object) -> Answer:
        monkeypatch.setattr("sys.argv", ["layerplay", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        said = capsys.readouterr()
        status = exit_.value.code
        assert isinstance(status, int | None)
        return Answer(status or 0, said.out, " ".join(said.err.split()))

    get_settings.cache_clear()
    yield layerplay
    get_settings.cache_clear()


@pytest.fixture
def home(tmp_path: Path, database: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation for the command to work on, named by the environment."""
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("LAYERPLAY_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


class TestExplain:
    def test_each_photo_gets_a_folder_and_a_bad_one_its_reason(
        self, layerplay: Layerplay, drawn_photos: Path, toy_network: Path, tmp_path: Path
    ) -> None:
        good = drawn_photos / "boat" / "boat-0.png"
        bad = tmp_path / "notes.txt"
        bad.write_text("No picture.")
        answer = layerplay(
            *("explain", good, bad, "--network", toy_network, "--out", tmp_path / "out"),
            *("--layers", "features.12", "--target", "flower", "--contrast", "boat"),
            *("--jobs", "2"),
        )
        assert answer.status == 1
        assert "notes.txt: It is not a picture" in answer.err
        assert "1 of 2 pictures explained" in answer.err
        folder = tmp_path / "out" / "boat-0"
        assert {file.name for file in folder.iterdir()} == {
            "explanation.json",
            "maps.npz",
            "report.html",
            "request.json",
        }
        explanation = json.loads((folder / "explanation.json").read_text())
        assert (explanation["target"], explanation["contrast"]) == (1, 0)

    def test_the_same_command_goes_on(
        self, layerplay: Layerplay, drawn_photos: Path, toy_network: Path, tmp_path: Path
    ) -> None:
        photos = [drawn_photos / "boat" / f"boat-{number}.png" for number in range(2)]
        options = ("--network", toy_network, "--layers", "features.12", "--out", tmp_path / "out")
        layerplay("explain", photos[0], *options)
        answer = layerplay("explain", *photos, *options)
        assert answer.status == 0
        assert "2 of 2 pictures explained, 1 of them before, in" in answer.err

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--network", "resnet81", "--weights", "random"], "resnet18"),
            (["--network", "resnet18", "--weights", "weights.pth"], "save_file"),
            (["--network", "nowhere.json"], "nowhere.json"),
            (["--network", "{toy}", "--layers", "features.99"], "features.99"),
            (["--network", "{toy}", "--target", "hexagon"], "hexagon"),
            (["--network", "{toy}", "--target", "7"], "7"),
        ],
    )
    def test_what_cannot_be_used_is_answered_in_one_sentence(
        self,
        layerplay: Layerplay,
        drawn_photos: Path,
        toy_network: Path,
        tmp_path: Path,
        options: list[str],
        message: str,
    ) -> None:
        photo = drawn_photos / "boat" / "boat-0.png"
        given = [option.replace("{toy}", str(toy_network)) for option in options]
        answer = layerplay("explain", photo, *given, "--out", tmp_path / "out")
        assert answer.status == 1
        assert message in answer.err
        assert "Traceback" not in answer.err


@pytest.fixture
def tiny_network(toy_network: Path, tmp_path: Path) -> Path:
    """The toy network for pictures of 48 px: a measurement runs it some hundred times."""
    description = json.loads(toy_network.read_text()) | {"input_size": 48, "resize": 48}
    description["weights"] = str(toy_network.with_suffix(".safetensors"))
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(description))
    return path


class TestEvaluate:
    def test_tables_are_printed_and_a_bad_picture_is_named(
        self, layerplay: Layerplay, drawn_photos: Path, tiny_network: Path, tmp_path: Path
    ) -> None:
        good = drawn_photos / "boat" / "boat-0.png"
        bad = tmp_path / "notes.txt"
        bad.write_text("No picture.")
        out = tmp_path / "scores.json"
        answer = layerplay(
            *("evaluate", good, bad, "--network", tiny_network),
            *("--layers", "features.9", "--out", out),
        )
        assert answer.status == 1
        assert "notes.txt: It is not a picture" in answer.err
        assert "1 of 2 pictures measured" in answer.err
        assert "| cluster maps (fast) |" in answer.out
        assert "| random order |" in answer.out
        (scores,) = json.loads(out.read_text())["pictures"]
        assert scores["picture"] == str(good)
        assert list(scores["layers"]) == ["features.9"]

    def test_the_same_command_goes_on(
        self, layerplay: Layerplay, drawn_photos: Path, tiny_network: Path, tmp_path: Path
    ) -> None:
        photos = [drawn_photos / "boat" / f"boat-{number}.png" for number in range(2)]
        out = tmp_path / "scores.json"
        options = ("--network", tiny_network, "--layers", "features.9", "--out", out)
        layerplay("evaluate", photos[0], *options)
        first = json.loads(out.read_text())
        first["pictures"][0]["probability"] = 0.125
        out.write_text(json.dumps(first))
        answer = layerplay("evaluate", photos[1], photos[0], *options)
        assert (answer.status, "2 of 2 pictures measured" in answer.err) == (0, True)
        found = {one["picture"]: one for one in json.loads(out.read_text())["pictures"]}
        assert set(found) == set(map(str, photos))
        assert found[str(photos[0])]["probability"] == 0.125

    def test_a_file_of_other_scores_is_not_written_over(
        self, layerplay: Layerplay, drawn_photos: Path, tiny_network: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "scores.json"
        out.write_text("mine")
        photo = drawn_photos / "boat" / "boat-0.png"
        answer = layerplay("evaluate", photo, "--network", tiny_network, "--out", out)
        assert (answer.status, out.read_text()) == (1, "mine")
        assert "scores.json cannot be gone on with. It is no file of scores." in answer.err

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--layers", "features.99"], "features.99"),
            (["--clusterer", "slow"], "There is no clusterer 'slow'"),
            (["--out", "nowhere/scores.json"], "There is no folder nowhere."),
            (["--weights", "weights.pth"], "save_file"),
        ],
    )
    def test_what_cannot_be_used_is_said_before_anything_is_measured(
        self,
        layerplay: Layerplay,
        drawn_photos: Path,
        toy_network: Path,
        options: list[str],
        message: str,
    ) -> None:
        photo = drawn_photos / "boat" / "boat-0.png"
        answer = layerplay("evaluate", photo, "--network", toy_network, *options)
        assert answer.status == 1
        assert message in answer.err
        assert "Traceback" not in answer.err


class TestStudies:
    def test_a_missing_folder_is_named(
        self, layerplay: Layerplay, home: Path, toy_network: Path
    ) -> None:
        answer = layerplay(
            "study", "create", "Mine", "--photos", "nowhere", "--network", toy_network
        )
        assert (answer.status, answer.err) == (1, "There is no folder nowhere.")

    def test_an_import_can_be_repeated_and_another_study_cannot_take_the_name(
        self, layerplay: Layerplay, home: Path, drawn_photos: Path, toy_network: Path
    ) -> None:
        create = ("study", "create", "Mine", "--photos", drawn_photos, "--network", toy_network)
        first = layerplay(*create, "--no-wait")
        assert "9 pictures of 3 classes" in first.err
        again = layerplay(*create, "--no-wait")
        assert (again.status, "0 pictures" in again.err) == (0, True)
        other = layerplay(*create, "--no-wait", "--layers", "features.12")
        assert other.status == 1
        assert "Choose another name" in other.err

    def test_the_list_says_how_far_each_is(
        self, layerplay: Layerplay, home: Path, drawn_photos: Path, toy_network: Path
    ) -> None:
        layerplay(
            *("study", "create", "Mine", "--photos", drawn_photos, "--network", toy_network),
            "--no-wait",
        )
        assert layerplay("study", "list").out == "Mine\tcomputing\t0/9 pictures\n"


class TestUsers:
    def said(self, monkeypatch: pytest.MonkeyPatch, password: str) -> None:
        """What stands at the other end of standard input."""
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{password}\n"))

    @pytest.mark.parametrize(
        ("options", "role"),
        [([], "player"), (["--researcher"], "researcher"), (["--admin"], "admin")],
    )
    def test_an_account_of_each_role(
        self,
        layerplay: Layerplay,
        home: Path,
        database: str,
        monkeypatch: pytest.MonkeyPatch,
        options: list[str],
        role: str,
    ) -> None:
        self.said(monkeypatch, "correct horse battery")
        answer = layerplay("user", "create", "Ada", *options)
        assert (answer.status, answer.err) == (0, f"Ada can sign in, as {role}")
        self.said(monkeypatch, "another horse battery")
        assert layerplay("user", "password", "ada").status == 0
        engine = make_engine(database)
        with session_factory(engine)() as session:
            account = accounts.check_password(
                session, name_or_email="Ada", password="another horse battery"
            )
            assert account.role == role
        engine.dispose()

    def test_what_cannot_be_is_answered_in_one_sentence(
        self, layerplay: Layerplay, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for command, password, message in (
            (("create", "Ada"), "short", "10 to 200 characters"),
            (("create", "a b"), "correct horse battery", "3 to 30 letters"),
            (("password", "Ada"), "correct horse battery", "no account named “Ada”"),
        ):
            self.said(monkeypatch, password)
            answer = layerplay("user", *command)
            assert answer.status == 1
            assert message in answer.err

    def test_a_study_belongs_to_whom_one_says(
        self,
        layerplay: Layerplay,
        home: Path,
        database: str,
        drawn_photos: Path,
        toy_network: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        create = ("study", "create", "Mine", "--photos", drawn_photos, "--network", toy_network)
        assert "no account" in layerplay(*create, "--no-wait", "--owner", "Ada").err
        self.said(monkeypatch, "correct horse battery")
        layerplay("user", "create", "Ada", "--researcher")
        assert layerplay(*create, "--no-wait", "--owner", "Ada").status == 0
        engine = make_engine(database)
        with session_factory(engine)() as session:
            study = studies.find(session, "Mine")
            assert study.owner_id == accounts.find(session, "Ada").id
        engine.dispose()


class EachItself:
    """An embedding in which no word is like another."""

    name = "each itself"

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
        return np.eye(997)[[crc32(text.encode()) % 997 for text in texts]]


@pytest.fixture
def scene_study(home: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a study of one boat of the picture book, with maps on its sail and its hull."""
    monkeypatch.setattr(studying, "load_embedder", lambda _: EachItself())
    engine = make_engine(database)
    with session_factory(engine).begin() as session:
        study = make_scene_study(session)
        add_scene(
            session,
            Storage(home / "storage"),
            study,
            Recipe("sailboat", 1, 0, "water"),
            regions=("sail", "hull"),
        )
    engine.dispose()
    return study.name


class TestSimulate:
    def test_rounds_are_reported_and_become_concepts(
        self, layerplay: Layerplay, scene_study: str
    ) -> None:
        answer = layerplay("simulate", scene_study, "--players", 4, "--rounds", 7)
        assert answer.status == 0
        assert "7 rounds: " in answer.err
        again = layerplay("simulate", scene_study, "--players", 4, "--rounds", 7)
        assert "0 rounds: " in again.err
        exported = layerplay("export", scene_study, "--players", "simulated").out
        rows = [json.loads(line) for line in exported.splitlines()]
        assert rows
        assert all(row["simulated"] for row in rows)
        assert any(row["concept"] for row in rows)
        assert layerplay("export", scene_study).out == ""
        assert layerplay("export", scene_study, "--players", "all").out == exported

    def test_it_says_when_more_players_are_needed(
        self, layerplay: Layerplay, scene_study: str
    ) -> None:
        answer = layerplay("simulate", scene_study, "--players", 2, "--rounds", 50)
        assert "4 rounds: " in answer.err
        assert "Every player has seen every map" in answer.err

    def test_ctrl_c_keeps_what_is_played(
        self, layerplay: Layerplay, scene_study: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        played = Simulation.play

        def interrupted(self: Simulation, n_rounds: int, *, n_threads: int) -> Iterator[object]:
            yield next(iter(played(self, n_rounds, n_threads=1)))
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(Simulation, "play", interrupted)
            answer = layerplay("simulate", scene_study, "--players", 2, "--rounds", 3)
        assert answer.status == 130
        assert "1 rounds: " in answer.err
        assert "the same command goes on" in answer.err
        assert "2 rounds: " in layerplay("simulate", scene_study, "--players", 2, "--rounds", 3).err

    def test_a_game_that_is_not_open_is_answered_in_one_sentence(
        self, layerplay: Layerplay, home: Path, drawn_photos: Path, toy_network: Path
    ) -> None:
        layerplay(
            *("study", "create", "Mine", "--photos", drawn_photos, "--network", toy_network),
            "--no-wait",
        )
        answer = layerplay("simulate", "Mine")
        assert (answer.status, answer.err) == (1, "The game of “Mine” is not open.")

    def test_concepts_are_made_of_whose_words_one_says(
        self, layerplay: Layerplay, scene_study: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[bool] = []
        monkeypatch.setattr(
            labels, "group_class", lambda *_, simulated, **__: asked.append(simulated)
        )
        assert layerplay("concepts", scene_study).status == 0
        assert set(asked) == {False}
        asked.clear()
        assert layerplay("concepts", scene_study, "--players", "simulated").status == 0
        assert set(asked) == {True}


class TestExport:
    def test_an_unknown_study_is_answered_with_what_there_is(
        self, layerplay: Layerplay, home: Path
    ) -> None:
        answer = layerplay("export", "Mine")
        assert answer.status == 1
        assert "There is no study named “Mine”. There is none yet." in answer.err

    def test_an_unknown_format_is_answered_with_those_there_are(
        self, layerplay: Layerplay, home: Path
    ) -> None:
        answer = layerplay("export", "Mine", "--format", "xml")
        assert (answer.status, answer.err) == (
            1,
            "There is no format “xml”. Choose one of jsonl, csv, parquet, coco, huggingface.",
        )

    def test_a_study_without_labels_gives_an_empty_file(
        self,
        layerplay: Layerplay,
        home: Path,
        drawn_photos: Path,
        toy_network: Path,
        tmp_path: Path,
    ) -> None:
        layerplay(
            *("study", "create", "Mine", "--photos", drawn_photos, "--network", toy_network),
            "--no-wait",
        )
        out = tmp_path / "labels.jsonl"
        assert layerplay("export", "Mine", "--out", out).status == 0
        assert out.read_text() == ""

    def test_several_files_make_a_folder_or_a_zip(
        self,
        layerplay: Layerplay,
        home: Path,
        drawn_photos: Path,
        toy_network: Path,
        tmp_path: Path,
    ) -> None:
        layerplay(
            *("study", "create", "Mine", "--photos", drawn_photos, "--network", toy_network),
            "--no-wait",
        )
        wanted = ("export", "Mine", "--format", "csv", "--content", "both")
        answer = layerplay(*wanted)
        assert (answer.status, answer.out) == (1, "")
        assert "name a folder or NAME.zip by --out" in answer.err
        assert layerplay(*wanted, "--out", tmp_path / "data").status == 0
        assert {file.name for file in (tmp_path / "data").iterdir()} == {
            "labels.csv",
            "concepts.csv",
        }
        assert layerplay(*wanted, "--out", tmp_path / "data.zip").status == 0
        with zipfile.ZipFile(tmp_path / "data.zip") as archive:
            assert archive.namelist() == ["labels.csv", "concepts.csv"]
        answer = layerplay(*wanted, "--out", tmp_path / "data")
        assert (answer.status, "is there already" in answer.err) == (1, True)

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["--class", "kite"], "There is no class “kite”. Choose one of boat, flower, house."),
            (["--layer", "conv9"], "There is no layer “conv9”."),
            (["--from", "2026-03-02", "--until", "2026-03-01"], "The first day is after"),
            (["--reveal", "6"], "The step is a number from 0 to 5."),
            (["--licence", " " * 101], "A licence is a name"),
        ],
    )
    def test_what_a_study_has_not_is_named(
        self,
        layerplay: Layerplay,
        home: Path,
        drawn_photos: Path,
        toy_network: Path,
        options: list[str],
        said: str,
    ) -> None:
        layerplay(
            *("study", "create", "Mine", "--photos", drawn_photos, "--network", toy_network),
            "--no-wait",
        )
        answer = layerplay("export", "Mine", *options)
        assert answer.status == 1
        assert said in answer.err


class TestSnapshot:
    def test_one_is_made_listed_and_verified(
        self,
        layerplay: Layerplay,
        home: Path,
        drawn_photos: Path,
        toy_network: Path,
    ) -> None:
        layerplay(
            *("study", "create", "Mine", "--photos", drawn_photos, "--network", toy_network),
            "--no-wait",
        )
        made = layerplay("snapshot", "create", "Mine", "--licence", "cc0-1.0")
        number, sha256 = made.out.split()
        assert (made.status, number) == (0, "1")
        again = layerplay("snapshot", "create", "Mine", "--licence", "cc0-1.0")
        assert again.out == made.out
        assert "nothing has changed since snapshot 1" in again.err
        (line,) = layerplay("snapshot", "list", "Mine").out.splitlines()
        assert sha256 in line
        path = Path(line.rpartition("\t")[2])
        answer = layerplay("snapshot", "verify", "Mine")
        assert (answer.status, "as it was made" in answer.err) == (0, True)
        path.write_bytes(path.read_bytes()[:-1])
        answer = layerplay("snapshot", "verify", "Mine", "1")
        assert (answer.status, "The archive's SHA-256 is" in answer.err) == (1, True)
        assert layerplay("snapshot", "verify", "Mine", "2").status == 1


class TestBackup:
    def test_it_is_verified_private_and_restored_into_an_empty_installation_only(
        self,
        layerplay: Layerplay,
        home: Path,
        drawn_photos: Path,
        toy_network: Path,
        tmp_path: Path,
    ) -> None:
        layerplay(
            *("study", "create", "Mine", "--photos", drawn_photos, "--network", toy_network),
            "--no-wait",
        )
        file = tmp_path / "layerplay.backup"
        answer = layerplay("backup", file)
        assert answer.status == 0, answer.err
        assert "written and verified" in answer.err
        assert file.stat().st_mode & 0o777 == 0o600
        answer = layerplay("restore", file)
        assert answer.status == 1
        assert "holds data already" in answer.err

    def test_what_is_no_backup_is_said_so(
        self, layerplay: Layerplay, home: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "notes.txt").write_text("No backup.")
        answer = layerplay("restore", tmp_path / "notes.txt")
        assert answer.status == 1
        assert "notes.txt is no backup" in answer.err


@pytest.fixture
def each_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "load_embedder", lambda _: EachItself())


def labels_file(folder: Path, *rows: dict[str, object]) -> Path:
    path = folder / "labels.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.usefixtures("each_itself")
@pytest.mark.parametrize("recipe", ["layerplay", "paper"])
def test_labels_of_a_file_get_their_concepts_in_their_order(
    layerplay: Layerplay, tmp_path: Path, recipe: str
) -> None:
    rows: list[dict[str, object]] = [
        {"image_class": "church", "label": "bell", "map": 7},
        {"image_class": "daisy", "label": "a daisy"},
        {"image_class": "church", "label": "bell!", "player": "Ada"},
    ]
    source, out = labels_file(tmp_path, *rows), tmp_path / "concepts.jsonl"
    answer = layerplay("labels", "group", source, "--out", out, "--recipe", recipe)
    assert answer.status == 0, answer.err
    assert [json.loads(line) for line in out.read_text().splitlines()] == [
        {**rows[0], "concept": "bell", "junk": False},
        {**rows[1], "concept": None, "junk": True},
        {**rows[2], "concept": "bell", "junk": False},
    ]


@pytest.mark.usefixtures("each_itself")
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "Line 2 is no JSON"),
        ("[]", "Line 2 is no JSON object"),
        ('{"label": "bell"}', "Line 2 needs “image_class” as str"),
        ('{"image_class": "church", "label": 3}', "Line 2 needs “label” as str"),
    ],
)
def test_a_line_that_is_no_label_is_named(
    layerplay: Layerplay, tmp_path: Path, line: str, said: str
) -> None:
    source = labels_file(tmp_path, {"image_class": "church", "label": "bell"})
    source.write_text(source.read_text() + line + "\n")
    answer = layerplay("labels", "group", source, "--out", tmp_path / "out.jsonl")
    assert answer.status == 1
    assert said in answer.err
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.usefixtures("each_itself")
def test_labels_are_not_overwritten_by_their_concepts(layerplay: Layerplay, tmp_path: Path) -> None:
    source = labels_file(tmp_path, {"image_class": "church", "label": "bell"})
    before = source.read_text()
    answer = layerplay("labels", "group", source, "--out", source)
    assert answer.status == 1
    assert "overwrite" in answer.err
    assert source.read_text() == before


def test_an_unknown_recipe_is_refused_with_the_known_ones(
    layerplay: Layerplay, tmp_path: Path
) -> None:
    answer = layerplay("labels", "group", "x", "--out", tmp_path / "y", "--recipe", "soup")
    assert answer.status == 1
    assert "Choose one of paper, layerplay" in answer.err
