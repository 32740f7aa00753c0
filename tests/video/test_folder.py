import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gvvad_jax.datasets import files
from gvvad_jax.video import folder
from gvvad_jax.video.decode import DecodeError
from tests.video import clips


def read(decoder, path, keep="all"):
    return np.concatenate([s.frames for s in decoder.snippets(path, keep=keep)])


def save(path, index=0, **options):
    Image.fromarray(clips.picture(index)).save(path, **options)


def test_frames_come_in_natural_order(decoder, tmp_path):
    for i in range(1, 35):
        save(tmp_path / f"frame{i}.png", i)
    frames = read(decoder, tmp_path)
    assert (frames == np.stack([clips.picture(i) for i in range(1, 35)])).all()
    assert decoder.info.num_frames == 34 and decoder.info.fps is None and decoder.info.notes == ()
    middle = [s.indices.tolist() for s in decoder.snippets(tmp_path)]
    assert middle == [[8], [25]]


@given(st.lists(st.text(st.sampled_from("ab01239_-."), max_size=8), unique=True, max_size=8))
def test_natural_order_is_total_and_does_not_depend_on_the_start(names):
    in_order = sorted(names, key=folder.natural_key)
    assert in_order == sorted(reversed(names), key=folder.natural_key)


def test_natural_order_by_hand():
    names = ["10.jpg", "9.jpg", "a10b2.jpg", "a9b10.jpg", "A9b9.jpg", "009.jpg", "frame.png", "frame1.png"]
    expected = ["009.jpg", "9.jpg", "10.jpg", "A9b9.jpg", "a9b10.jpg", "a10b2.jpg", "frame.png", "frame1.png"]
    assert sorted(names, key=folder.natural_key) == expected


@pytest.mark.parametrize("ending", ["jpg", "JPEG", "png", "tif", "TIFF", "bmp", "webp", "pgm", "ppm"])
def test_endings(decoder, tmp_path, ending):
    for i in range(3):
        save(tmp_path / f"{i}.{ending}", i)
    frames = read(decoder, tmp_path)
    assert [clips.index_of(f) for f in frames] == [0, 1, 2]


def test_a_folder_that_counts_as_a_video_is_read_whole():
    assert set(folder.ENDINGS) == files.PICTURE_ENDINGS


def test_other_files_are_left_alone(decoder, tmp_path):
    save(tmp_path / "1.png", 1)
    (tmp_path / "._1.png").write_bytes(b"what macOS leaves behind")
    (tmp_path / "Thumbs.db").write_bytes(b"")
    (tmp_path / "readme.txt").write_text("x")
    (tmp_path / "2.png").mkdir()
    assert len(read(decoder, tmp_path)) == 1


def test_grey_palette_alpha_and_one_bit_pictures(decoder, tmp_path):
    picture = Image.fromarray(clips.picture(20))
    picture.convert("L").save(tmp_path / "0.tif")
    picture.convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "1.png")
    picture.convert("RGBA").save(tmp_path / "2.png")
    picture.convert("1").save(tmp_path / "3.bmp")
    picture.convert("CMYK").save(tmp_path / "4.jpg", quality=95)
    picture.convert("LA").save(tmp_path / "5.png")
    frames = read(decoder, tmp_path).astype(int)
    grey = np.asarray(picture.convert("L"))[..., None]
    assert (frames[0] == grey).all() and (frames[5] == grey).all()
    assert (frames[2] == clips.picture(20)).all()
    assert np.abs(frames[1] - clips.picture(20)).mean() < 8
    assert set(np.unique(frames[3])) == {0, 255}
    assert np.abs(frames[4] - clips.picture(20)).mean() < 8


@pytest.mark.parametrize("ending", ["tif", "png"])
def test_sixteen_bit_grey_keeps_its_scale(decoder, tmp_path, ending):
    grey = np.linspace(0, 65535, 48 * 64).reshape(48, 64).astype(np.uint16)
    Image.fromarray(grey).save(tmp_path / f"0.{ending}")
    assert (read(decoder, tmp_path)[0] == (grey >> 8)[..., None]).all()
    assert decoder.info.notes == ("16-bit grey: 65535 is white",)


def test_an_exif_note_turns_the_picture_upright(decoder, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise
    save(tmp_path / "0.png", 5, exif=exif)
    assert (read(decoder, tmp_path)[0] == np.rot90(clips.picture(5), -1)).all()


def test_a_picture_of_another_size_is_named(decoder, tmp_path):
    for i in range(5):
        save(tmp_path / f"{i}.png", i)
    Image.fromarray(clips.picture(0, 40, 64)).save(tmp_path / "3.png")
    with pytest.raises(DecodeError, match=r"3\.png has 64x40 pixels but 0\.png has 64x48"):
        read(decoder, tmp_path)


def test_damaged_pictures_are_named_and_only_kept_ones_are_opened(decoder, tmp_path):
    for i in range(20):
        save(tmp_path / f"{i:03d}.jpg", i)
    (tmp_path / "003.jpg").write_bytes((tmp_path / "003.jpg").read_bytes()[:300])
    assert len(read(decoder, tmp_path, keep=1)) == 1  # opens the middle one alone
    with pytest.raises(DecodeError, match=r"003\.jpg cannot be read as a picture"):
        read(decoder, tmp_path)
    (tmp_path / "003.jpg").write_bytes(b"")
    with pytest.raises(DecodeError, match=r"003\.jpg cannot be read as a picture"):
        read(decoder, tmp_path)
    Image.fromarray(np.zeros((48, 64), np.float32)).save(tmp_path / "float.tif")
    (tmp_path / "float.tif").rename(tmp_path / "003.jpg")
    with pytest.raises(DecodeError, match=r"003\.jpg holds floating-point values"):
        read(decoder, tmp_path)


def test_missing_numbers_are_a_note(decoder, tmp_path):
    for i in (1, 2, 3, 5, 6):
        save(tmp_path / f"img_{i:04d}.png", i)
    read(decoder, tmp_path)
    assert decoder.info.notes == ("5 pictures are numbered 1 to 6: some are missing",)


def test_two_pictures_of_one_frame_are_refused(decoder, tmp_path):
    save(tmp_path / "1.png")
    save(tmp_path / "1.jpg")
    with pytest.raises(DecodeError, match=r"1\.(jpg|png) and 1\.(jpg|png), two pictures of one frame"):
        read(decoder, tmp_path)


def test_a_folder_without_pictures(decoder, tmp_path):
    with pytest.raises(DecodeError, match="holds no picture"):
        read(decoder, tmp_path)
