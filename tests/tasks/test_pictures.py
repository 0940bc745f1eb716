"""Omniglot, glyphs and the user's own folders, on real values."""

import shutil
import zipfile

import numpy as np
import pytest
import torch
from files import write_pictures
from PIL import Image

from netwright.errors import DataError
from netwright.rng import stream
from netwright.tasks import Glyphs, Images, Omniglot
from netwright.tasks import glyphs as glyphs_module
from netwright.tasks.images import read_pictures, read_support


@pytest.fixture(scope="module")
def omniglot(shared_data):
    return Omniglot(rotations=False, data_root=shared_data)


def test_omniglot_has_its_published_sizes(omniglot):
    counts = {split: len(pool.counts) for split, pool in omniglot.pools.items()}
    assert counts["train"] + counts["validation"] == 964
    assert counts["test"] == 659
    assert all((pool.counts == 20).all() for pool in omniglot.pools.values())
    assert len(omniglot.members("train")) == 25
    assert len(omniglot.members("validation")) == 5
    assert len(omniglot.members("test")) == 20
    assert "Angelic" in omniglot.members("test")
    assert "Futurama" in omniglot.members("train")


def test_an_omniglot_picture_is_the_file_averaged_down(omniglot, shared_data):
    name = "images_evaluation/Angelic/character01/0965_01.png"
    with (
        zipfile.ZipFile(shared_data / "omniglot/images_evaluation.zip") as archive,
        archive.open(name) as file,
        Image.open(file) as image,
    ):
        ink = 1 - np.asarray(image, dtype=float)
    pool = omniglot.pools["test"]
    place = pool.names.index("Angelic/character01")
    found = pool.images[20 * place, 0].double() / 255
    assert ink.shape == (105, 105)
    # 105 / 28 = 3.75: the mean ink must survive exactly, up to rounding to bytes.
    assert float(found.mean()) == pytest.approx(ink.mean(), abs=2e-3)
    blocks = ink[:105, :105].reshape(7, 15, 7, 15).mean(axis=(1, 3))
    torch.testing.assert_close(
        found.reshape(7, 4, 7, 4).mean(dim=(1, 3)), torch.from_numpy(blocks), rtol=0, atol=0.04
    )


def test_omniglot_from_other_pictures_is_refused(tmp_path, shared_data):
    folder = tmp_path / "omniglot"
    shutil.copytree(shared_data / "omniglot", folder)
    (folder / "images_background.zip").chmod(0o644)
    with zipfile.ZipFile(folder / "images_background.zip", "w") as archive:
        archive.writestr("images_background/Latin/character01/0001_01.png", b"not a picture")
    with pytest.raises(
        DataError, match=r"holds 1 pictures that are not Omniglot's background set, expected 19280"
    ):
        Omniglot(data_root=tmp_path, image_size=29)
    (folder / "images_background.zip").write_bytes(b"cut")
    with pytest.raises(DataError, match=r"cannot be read: File is not a zip file"):
        Omniglot(data_root=tmp_path, image_size=29)


def test_missing_omniglot_names_the_ways_out(tmp_path, monkeypatch):
    with pytest.raises(
        DataError, match=r"was not found in .*--data-root or NETWRIGHT_DATA; or use `glyphs`"
    ):
        Omniglot(data_root=tmp_path)
    monkeypatch.setenv("NETWRIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NETWRIGHT_DATA", str(tmp_path))
    (tmp_path / "nowhere").mkdir()
    monkeypatch.chdir(tmp_path / "nowhere")
    with pytest.raises(DataError, match="was not found on this machine"):
        Omniglot(download=False)


def test_more_pictures_than_drawers_are_refused(shared_data):
    with pytest.raises(DataError, match="make 25 pictures per class, expected at most 20"):
        Omniglot(shots=10, queries=15, data_root=shared_data)
    with pytest.raises(DataError, match="`validation_alphabets` is 30, expected 1 to 29"):
        Omniglot(validation_alphabets=30, data_root=shared_data)


def test_a_damaged_cache_is_made_anew(shared_data, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NETWRIGHT_CACHE", str(tmp_path))
    from netwright.tasks import omniglot as module

    module._read_parts.cache_clear()
    first = Omniglot(data_root=shared_data, image_size=8)
    (cached,) = tmp_path.glob("omniglot-8-*.npz")
    data = bytearray(cached.read_bytes())
    data[len(data) // 2] ^= 4
    cached.write_bytes(bytes(data))
    module._read_parts.cache_clear()
    again = Omniglot(data_root=shared_data, image_size=8)
    module._read_parts.cache_clear()
    assert "is damaged and is made anew" in capsys.readouterr().err
    assert torch.equal(first.pools["test"].images, again.pools["test"].images)


def test_glyph_splits_are_of_the_stated_scripts():
    glyphs = Glyphs()
    assert glyphs.members("test") == ("ARMENIAN", "GEORGIAN", "HEBREW", "TIFINAGH")
    for split in ("train", "validation", "test"):
        scripts = {name.partition("/")[0] for name in glyphs.pools[split].names}
        assert scripts == set(glyphs.members(split))
    names = {name for pool in glyphs.pools.values() for name in pool.names}
    assert "HEBREW/U+05D0 HEBREW LETTER ALEF" in names
    assert "LATIN/U+0042 LATIN CAPITAL LETTER B" in names
    # They look like Latin B, and only one of a kind may stay.
    assert "GREEK/U+0392 GREEK CAPITAL LETTER BETA" not in names
    assert "CYRILLIC/U+0412 CYRILLIC CAPITAL LETTER VE" not in names


def test_glyphs_have_ink_and_vary_within_and_between_classes():
    for pool in Glyphs().pools.values():
        pictures = pool.images.view(-1, 20, 28, 28).float() / 255
        ink = pictures.mean(dim=(2, 3))
        assert ink.min() > 0.003
        assert ink.max() < 0.6
        # The mean picture of a class is nearer to its own pictures than to those of other classes.
        halves = pictures[:, :10].mean(1).flatten(1), pictures[:, 10:].mean(1).flatten(1)
        nearest = torch.cdist(*halves).argmin(dim=1)
        # Chance is below 2 %.
        assert float((nearest == torch.arange(len(nearest))).float().mean()) > 0.5
        distinct = {picture.numpy().tobytes() for picture in pictures[:50].flatten(0, 1)}
        assert len(distinct) == 20 * len(pictures[:50])


def test_glyphs_are_a_pure_function_of_the_font():
    master = np.zeros((2, 64, 64), np.uint8)
    master[:, 20:44, 30:34] = 255
    assert np.array_equal(glyphs_module._distort(master, 65), glyphs_module._distort(master, 65))
    assert not np.array_equal(
        glyphs_module._distort(master, 65), glyphs_module._distort(master, 66)
    )


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_class_folders_become_tasks_with_pixels_of_the_files(tmp_path, rng):
    write_pictures(tmp_path, 10, 4, rng)
    family = Images(tmp_path, ways=2, queries=3, image_size=9)
    batch = family.sample(stream(0), 2, "train")
    files = {np.asarray(Image.open(p)).tobytes() for p in tmp_path.rglob("*.png")}
    for picture in batch.condition.examples.x.flatten(0, 1):
        assert (picture[0] * 255).round().to(torch.uint8).numpy().tobytes() in files


def test_task_folders_keep_classes_of_a_task_together(tmp_path, rng):
    for task in range(6):
        write_pictures(tmp_path, 3, 4, rng, task=f"site{task}")
    write_pictures(tmp_path, 1, 4, rng, task="too-small")
    family = Images(tmp_path, ways=3, queries=2, image_size=9)
    members = [name for split in ("train", "validation", "test") for name in family.members(split)]
    assert sorted(members) == [f"site{task}" for task in range(6)]
    pool = family.pools["train"]
    sites = {name.partition("/")[0] for name in pool.names}
    assert sites == set(family.members("train"))


def test_colour_pictures_have_three_channels(tmp_path, rng):
    for c in range(6):
        (tmp_path / f"c{c}").mkdir()
        for i in range(3):
            Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(
                tmp_path / f"c{c}/{i}.JPG"
            )
    family = Images(
        tmp_path, ways=2, queries=1, channels=3, image_size=16, validation=0.34, test=0.34
    )
    assert family.sample(stream(0), 1, "test").query.x.shape == (1, 2, 3, 16, 16)


def test_folders_that_cannot_serve_say_why(tmp_path, rng):
    with pytest.raises(
        DataError, match="is not there, expected a folder with a folder of pictures"
    ):
        Images(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no pictures in class folders"):
        Images(tmp_path)
    (tmp_path / "one").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "one/a.png")
    with pytest.raises(DataError, match="one class only, 'one'"):
        Images(tmp_path)
    (tmp_path / "one/sub").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "one/sub/a.png")
    with pytest.raises(DataError, match="class folders and task folders side by side"):
        Images(tmp_path)
    shutil.rmtree(tmp_path / "one")
    write_pictures(tmp_path, 9, 2, rng)
    with pytest.raises(DataError, match=r"has 9 classes, expected at least 15: ways=5 in each"):
        Images(tmp_path, ways=5)
    with pytest.raises(DataError, match="has 2 pictures of class .* expected at least 6: shots=5"):
        Images(tmp_path, ways=2, shots=5, validation=0.3, test=0.3)
    with pytest.raises(DataError, match="expected fractions with a sum below 1"):
        Images(tmp_path, ways=2, validation=0.9, test=0.2)


def test_every_split_of_classes_has_enough_for_a_task(tmp_path, rng):
    write_pictures(tmp_path, 15, 2, rng)
    family = Images(tmp_path, ways=5, queries=1)
    assert [len(family.members(split)) for split in ("train", "validation", "test")] == [5, 5, 5]


def test_a_corrupt_picture_is_named(tmp_path, rng):
    write_pictures(tmp_path, 9, 3, rng)
    broken = tmp_path / "class4/1.png"
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(DataError, match=r"class4/1.png cannot be read as a picture"):
        Images(tmp_path, ways=2, queries=2)
    with pytest.raises(DataError, match=r"class4/1.png cannot be read as a picture"):
        read_support(tmp_path, image_size=9, channels=1)


def test_a_support_folder_gives_one_task_with_names(tmp_path, rng):
    write_pictures(tmp_path, 3, 2, rng)
    (tmp_path / "class0/notes.txt").write_text("not a picture")
    examples, names = read_support(tmp_path, image_size=9, channels=1)
    assert examples.x.shape == (1, 6, 1, 9, 9)
    assert examples.y.tolist() == [[0, 0, 1, 1, 2, 2]]
    assert names == ("class0", "class1", "class2")
    pictures, paths = read_pictures(tmp_path, image_size=9, channels=1)
    assert len(pictures) == len(paths) == 6
    shutil.rmtree(tmp_path / "class0")
    shutil.rmtree(tmp_path / "class1")
    with pytest.raises(DataError, match="has 1 folders of pictures, expected at least 2"):
        read_support(tmp_path, image_size=9, channels=1)
    (tmp_path / "bare").mkdir()
    with pytest.raises(DataError, match="holds no picture"):
        read_pictures(tmp_path / "bare", image_size=9, channels=1)
