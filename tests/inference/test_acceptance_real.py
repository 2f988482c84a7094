"""What a reader trained as configs/reader.toml says accepts and refuses: real radiographs, real DICOM files, and strangers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_sample_images
from tests.conftest import PROJECT

from cxreader import Reader, Reading
from cxreader.assessment.cohort import cohort_of_run
from cxreader.cli import run
from cxreader.data.split import Split
from cxreader.imaging.read import read
from cxreader.runs import RunFolder

pytestmark = [pytest.mark.real, pytest.mark.slow]
PA = "1.2.276.0.7230010.3.1.4.8323329.6904.1517875201.850819.dcm"
# The configuration as it is committed, but for what takes long: fewer images, the head alone, one epoch.
SHORT = ("split.size=2400", "augment=none", 'training.phases=["head"]', "training.head.epochs=1", "input.size=96")


@pytest.fixture(scope="module")
def trained(images_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reader") / "run"
    changes = [word for change in SHORT for word in ("--set", change)]
    assert run(["-q", "train", str(PROJECT / "src/cxreader/configs/reader.toml"), "--out", str(out), *changes]) == 0
    return out


@pytest.fixture(scope="module")
def reader(trained: Path) -> Reader:
    return Reader.load(trained)


def _look(reader: Reader, picture: NDArray[np.floating]) -> Reading:
    """By pixels alone: an array has no header."""
    return reader.read(picture.astype(np.float32))


def test_frontal_chests_in_dicom_are_accepted_and_the_others_refused_by_their_headers(
    reader: Reader, images_root: Path
) -> None:
    found = {name: reader.read(images_root / "dicom" / name) for name in [PA, *(f"test{n}.dcm" for n in range(1, 7))]}
    for name in (PA, "test1.dcm", "test2.dcm", "test3.dcm"):
        assert found[name].acceptance == "accepted", (name, found[name].reasons)
        assert found[name].probability is not None
        assert found[name].heat_map is not None
    for name, word in (("test4.dcm", "RIBCAGE"), ("test5.dcm", "modality CT"), ("test6.dcm", "view is crossed out")):
        assert (found[name].acceptance, found[name].probability, found[name].heat_map) == ("refused", None, None)
        assert word in found[name].reasons[0]
        assert len(found[name].reasons) == 1, "the same pixels as test1: only the header speaks against it"


def test_the_dental_radiograph_is_refused_with_its_header_and_without(reader: Reader, images_root: Path) -> None:
    file = images_root / "dicom" / "CR-ModalitySequenceLUT.dcm"
    assert reader.read(file).acceptance == "refused"
    pixels = read(file).pixels
    for turns in range(4):
        found = _look(reader, np.rot90(pixels, turns))
        assert found.acceptance == "refused", turns
        assert found.probability is None


def test_photographs_noise_and_text_are_refused_by_pixels_alone(reader: Reader) -> None:
    random = np.random.default_rng(0)
    strangers: dict[str, NDArray[np.floating]] = {}
    for n, photograph in enumerate(load_sample_images().images):
        grey = np.asarray(Image.fromarray(photograph).convert("L")) / 255
        strangers |= {f"photograph {n}, grey": grey, f"part of photograph {n}, grey": grey[:300, :300]}
    for width in (0, 1, 4, 16):
        noise = random.normal(size=(512, 512))
        noise = gaussian_filter(noise, width) if width else noise
        strangers[f"noise of width {width}"] = (noise - noise.min()) / np.ptp(noise)
    for n, (paper, ink) in enumerate(((255, 0), (0, 255))):
        page = Image.new("L", (600, 800), paper)
        draw = ImageDraw.Draw(page)
        for y in range(40, 760, 24):
            draw.text((40, y), " ".join(random.choice(["report", "of", "findings", "none"], 8)), ink, font_size=18)
        strangers[f"page {n}"] = np.asarray(page) / 255
    ramp = np.linspace(0.2, 0.8, 500)
    strangers |= {"ramp": np.repeat(ramp[:, None], 500, 1), "ramp across": np.repeat(ramp[None], 500, 0)}
    accepted = [name for name, picture in strangers.items() if _look(reader, picture).acceptance != "refused"]
    assert accepted == []


def test_a_colour_photograph_is_named_so(reader: Reader, tmp_path: Path) -> None:
    Image.fromarray(load_sample_images().images[0]).save(tmp_path / "photograph.png")
    assert "a colour picture, not a radiograph" in reader.read(tmp_path / "photograph.png").reasons


def test_unseen_chests_are_accepted_and_turned_or_inverted_ones_refused(reader: Reader, trained: Path) -> None:
    """Patients not in training: false refusals at most 2 %; of each wrong look at least 98 % are refused."""
    cohort = cohort_of_run(trained)
    records = cohort.records[::2]
    pixels = [read(record.path or "").pixels for record in records]
    assert len(pixels) > 150
    assert len({record.group for record in records}) > 100
    share = {}
    for look, turn in {
        "upright": lambda p: p,
        "upside down": lambda p: p[::-1, ::-1],
        "on its left side": np.rot90,
        "on its right side": lambda p: np.rot90(p, 3),
        "inverted": lambda p: 1 - p,
    }.items():
        readings = reader.read_many([np.ascontiguousarray(turn(p)) for p in pixels])
        share[look] = np.mean([reading.acceptance == "refused" for reading in readings])
    assert share.pop("upright") <= 0.02
    assert min(share.values()) >= 0.98, share
    blurred = reader.read_many([_blurred(p) for p in pixels])
    assert np.mean([reading.acceptance == "refused" for reading in blurred]) >= 0.8


def _blurred(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """As if it had come through 10 x 10 pixels."""
    image = Image.fromarray(picture)
    small = image.resize((10, 10), Image.Resampling.BOX)
    return np.asarray(np.clip(np.asarray(small.resize(image.size, Image.Resampling.BICUBIC)), 0, 1), np.float32)


def test_the_split_of_several_sources_shares_no_patient(trained: Path) -> None:
    split = Split.load(RunFolder(trained).split)
    folders = {image.split("/")[0] for part in split.parts.values() for image in part}
    assert folders == {"nih", "nih_64px", "kermany"}
    people = {
        part: {image.split("/")[-1][:8] for image in images if image.startswith("nih")}
        for part, images in split.parts.items()
    }
    assert not people["test"] & (people["train"] | people["tune"] | people["calibrate"])


def test_every_file_that_pydicom_ships_has_a_row_and_no_probability(reader: Reader) -> None:
    import pydicom

    files = sorted(path for path in (Path(pydicom.__file__).parent / "data").rglob("*") if path.is_file())
    dicom = [path for path in files if path.suffix in (".dcm", "")]
    assert len(dicom) > 50
    readings = list(reader.read_many(files))
    assert [reading.image for reading in readings] == [str(path) for path in files]
    assert [reading.image for reading in readings if reading.probability is not None] == []
    assert all(reading.reasons for reading in readings)
