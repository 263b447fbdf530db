"""Archives: what is in a .zip is read as if it were unpacked, and nothing in it can do harm."""

from __future__ import annotations

import tempfile
import zipfile

import numpy as np
import pytest
from frames import assert_refused, load, taken
from paper_files import SIZE, ball, one_sheet, save, write_folder, write_sheets, zipped

import backproject as bp
from backproject.errors import FileMissingError, FormatError
from backproject.io.sources import archive
from backproject.io.sources.registry import recognise


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path, monkeypatch):
    """What was unpacked is gone afterwards, whatever happened, and nothing lies beside it."""
    place = tmp_path / "unpacked"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield
    assert not list(place.iterdir())
    assert not (tmp_path / "outside").exists()


SOURCES = {
    "paper": (write_folder, {}),
    "floats": (lambda views, folder: write_folder(views, folder, suffix=".txt"), {}),
    "sheets": (lambda views, folder: write_sheets([views], folder), {"cell": SIZE}),
    "one sheet": (lambda views, folder: save(one_sheet(views, 5), folder / "lamp.png"), {}),
    "capture": (lambda views, folder: views.save(folder), {}),
    "arrays": (
        lambda views, folder: (
            folder.mkdir(),
            np.savez(
                folder / "views.npz",
                depth=views.depth,
                intrinsics=views.rig.intrinsics,
                world_from_camera=views.rig.world_from_camera,
            ),
        ),
        {},
    ),
}


@pytest.mark.parametrize("prefix", ["", "inner/", "one/two/"])
@pytest.mark.parametrize("source", SOURCES)
def test_an_archive_is_read_as_what_is_in_it(source, prefix, tmp_path):
    write, asked = SOURCES[source]
    write(ball(), tmp_path / "f")
    path = zipped(tmp_path / "f", tmp_path / "f.zip", prefix)
    assert recognise(path) is archive.SOURCE
    again = load(path, **asked)
    folder = tmp_path / "f"
    if source in ("one sheet", "arrays"):
        (folder,) = folder.iterdir()
    plain = load(folder, **asked)
    np.testing.assert_array_equal(again.depth, plain.depth)
    np.testing.assert_array_equal(again.rig.world_from_camera, plain.rig.world_from_camera)
    np.testing.assert_array_equal(again.rig.intrinsics, plain.rig.intrinsics)
    assert taken(again, "archive")
    assert taken(again, "source") == taken(plain, "source")


def test_what_systems_add_is_passed_over(tmp_path):
    folder = write_folder(ball(), tmp_path / "f")
    (folder / ".DS_Store").write_text("x")
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / "._model_8_Cam_0.png").write_text("x")
    load(zipped(folder, tmp_path / "f.zip", "inner/"))


def test_one_of_many_models_is_unpacked(tmp_path, monkeypatch):
    """The paper's data sets hold thousands: those that are not wanted do not count."""
    folder = write_folder(ball(0.4), tmp_path / "f", model="model_7")
    write_folder(ball(0.2), folder, model="model_10")
    path = zipped(folder, tmp_path / "f.zip", "Lamp_depth_rgb/")
    assert_refused(path, "2 models: model_7, model_10; .*--model", FormatError)
    assert_refused(path, "no model `8`", FormatError, model="8")
    monkeypatch.setattr(archive, "MOST_FILES", 20)
    again = load(path, model="10")
    np.testing.assert_array_equal(again.depth, load(folder, model="10").depth)


def test_one_of_many_folders_is_named(tmp_path):
    for name, radius in (("chair", 0.4), ("lamp", 0.2)):
        ball(radius).save(tmp_path / "f" / name)
    path = zipped(tmp_path / "f", tmp_path / "f.zip")
    assert_refused(path, "2 models: chair, lamp; .*--model", FormatError)
    np.testing.assert_array_equal(load(path, model="lamp").depth, ball(0.2).depth)


def with_member(path, name, content=b"x", **attributes):
    member = zipfile.ZipInfo(name)
    for key, value in attributes.items():
        setattr(member, key, value)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr(member, content)
    return path


HARMFUL = {
    "above": ("../outside", {}, "stays inside"),
    "deep above": ("a/../../outside", {}, "stays inside"),
    "absolute": ("/outside", {}, "stays inside"),
    "a drive": ("C:outside", {}, "stays inside"),
    "a link": ("link", {"external_attr": 0o120777 << 16, "create_system": 3}, "is a link"),
}


@pytest.mark.parametrize("case", HARMFUL)
def test_harmful_members_are_refused(case, tmp_path):
    name, attributes, match = HARMFUL[case]
    path = zipped(write_folder(ball(), tmp_path / "f"), tmp_path / "f.zip")
    assert_refused(with_member(path, name, b"/etc/passwd", **attributes), match, FormatError)


def test_a_backslash_leads_nowhere(tmp_path):
    """As it stands in a file: Python's writer would turn it on Windows only."""
    path = zipped(write_folder(ball(), tmp_path / "f"), tmp_path / "f.zip")
    with_member(path, "..!outside")
    path.write_bytes(path.read_bytes().replace(b"..!outside", b"..\\outside"))
    assert_refused(path, "stays inside", FormatError)


def test_bombs_are_refused_before_they_are_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "bomb.zip"
    with_member(path, "model_1_Cam_0.txt", bytes(archive.FREE_BYTES + 1), compress_type=8)
    assert_refused(path, "200 times the packed", FormatError)
    path = zipped(write_folder(ball(), tmp_path / "f"), tmp_path / "f.zip")
    for name in ("MOST_FILES", "MOST_BYTES"):
        with monkeypatch.context() as limits:
            limits.setattr(archive, name, 19)
            assert_refused(path, "expected no more than 19", FormatError)


def test_errors_name_the_archive_and_the_file_in_it(tmp_path):
    folder = write_folder(ball(), tmp_path / "f", skip=[4])
    assert_refused(zipped(folder, tmp_path / "f.zip", "in/"), r"f\.zip/in: 19 images", FormatError)
    folder = write_folder(ball(), tmp_path / "g")
    save(np.zeros((9, 8), np.uint8), folder / "model_7_Cam_3.png")
    path = zipped(folder, tmp_path / "g.zip")
    assert_refused(path, r"g\.zip/model_7_Cam_3\.png: 8 x 9", FormatError)


def test_other_archives_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "none.zip", "w"):
        pass
    assert_refused(tmp_path / "none.zip", "holds nothing", FormatError)
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "notes.md").write_text("x")
    assert_refused(zipped(tmp_path / "f", tmp_path / "f.zip"), r"notes\.md", FormatError)
    path = zipped(write_folder(ball(), tmp_path / "g"), tmp_path / "g.zip")
    nested = with_member(tmp_path / "nested.zip", "g.zip", path.read_bytes())
    assert_refused(nested, r"g\.zip", FormatError)
    with pytest.warns(UserWarning, match="Duplicate"):
        with_member(path, "model_7_Cam_3.png")
    assert_refused(path, "twice", FormatError)
    with pytest.raises(FileMissingError):
        load(tmp_path / "missing.zip")


def test_a_file_cut_or_spoilt_is_refused(tmp_path):
    path = zipped(write_folder(ball(), tmp_path / "f"), tmp_path / "f.zip")
    whole = path.read_bytes()
    at = whole.index(b"IDAT") + 8
    path.write_bytes(whole[:at] + bytes(4) + whole[at + 4 :])
    assert_refused(path, "cannot be unpacked", FormatError)
    path.write_bytes(whole[: len(whole) // 2])
    assert_refused(path, "no file of a kind", FormatError)


def test_archives_of_captures_keep_what_they_tell(tmp_path):
    views = bp.ViewSet(ball().depth, ball().rig, step=0.25)
    views.save(tmp_path / "f")
    assert load(zipped(tmp_path / "f", tmp_path / "f.zip")).step == 0.25
