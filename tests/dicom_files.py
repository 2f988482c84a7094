"""DICOM files made on the spot: any header, any transfer syntax; dcmtk's tools compress what pydicom does not."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

HEIGHT, WIDTH = 72, 96
DX = "1.2.840.10008.5.1.4.1.1.1.1"

TOOLS: dict[str, tuple[str, ...]] = {
    "implicit": ("dcmconv", "+ti"),
    "explicit": ("dcmconv", "+te"),
    "big endian": ("dcmconv", "+tb"),
    "deflated": ("dcmconv", "+td"),
    "RLE": ("dcmcrle",),
    "JPEG baseline": ("dcmcjpeg", "+eb", "+q", "95"),
    "JPEG extended": ("dcmcjpeg", "+ee", "+q", "95"),
    "JPEG lossless": ("dcmcjpeg", "+el", "+sv", "4"),
    "JPEG lossless SV1": ("dcmcjpeg", "+e1"),
    "JPEG-LS": ("dcmcjpls", "+el"),
    "JPEG-LS near": ("dcmcjpls", "+en", "+md", "2"),
}
"""What makes each transfer syntax of a plain file; JPEG 2000 comes from pydicom (`jpeg_2000`)."""


def picture(bits: int = 12, *, signed: bool = False, noise: float = 0.01, seed: int = 0) -> NDArray[np.int64]:
    """(HEIGHT, WIDTH) stored values that use most of their range: a soft blob, a ramp and a little noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    soft = np.exp(-(((x - 50) / 30) ** 2) - ((y - 30) / 25) ** 2) * 0.6 + 0.35 * x / WIDTH
    grey = np.clip(soft + rng.normal(0, noise, soft.shape), 0, 1)
    values = np.rint(grey * (2**bits - 1)).astype(np.int64)
    return np.asarray(values - 2 ** (bits - 1) if signed else values, np.int64)


def dataset(values: NDArray[Any], *, bits: int = 12, signed: bool = False, **more: Any) -> Dataset:
    """A DX image of these stored values, (H, W) or (H, W, 3); `more` are elements by keyword, None leaves one out."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = DX, generate_uid(entropy_srcs=[str(values.tobytes()[:4000]), repr(more)])
    made.PatientName, made.PatientID, made.PatientBirthDate = "Doe^Jane", "4711", "19500101"
    made.AccessionNumber, made.StudyDescription, made.StudyInstanceUID = "ACC0815", "Effusion", "1.2.3.4"
    made.Modality, made.BodyPartExamined, made.ViewPosition = "DX", "CHEST", "PA"
    made.PatientSex, made.PatientAge = "F", "058Y"
    made.Rows, made.Columns = values.shape[:2]
    made.SamplesPerPixel = 3 if values.ndim == 3 else 1
    made.PhotometricInterpretation = "RGB" if values.ndim == 3 else "MONOCHROME2"
    if values.ndim == 3:
        made.PlanarConfiguration = 0
    made.BitsAllocated = 8 if bits <= 8 else 16
    made.BitsStored, made.HighBit, made.PixelRepresentation = bits, bits - 1, int(signed)
    octets = values.astype(f"<{'i' if signed else 'u'}{made.BitsAllocated // 8}").tobytes()
    made.add_new(0x7FE00010, "OW" if bits > 8 else "OB", octets + b"\0" * (len(octets) % 2))
    for keyword, value in more.items():
        if value is None:
            delattr(made, keyword)
        else:
            setattr(made, keyword, value)
    return made


def encoded(made: Dataset) -> bytes:
    """The bytes of the file."""
    buffer = io.BytesIO()
    made.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def table(entries: NDArray[Any], first: int, bits: int, *, signed_first: bool = False) -> Dataset:
    """An item of a modality or VOI LUT sequence."""
    item = Dataset()
    item.add_new(0x00283002, "SS" if signed_first else "US", [len(entries) % 65536, first, bits])
    item.add_new(0x00283006, "OW", entries.astype("<u2").tobytes())
    if not signed_first:
        item.LUTExplanation = "a table"
    return item


def converted(data: bytes, folder: Path, *tool: str) -> bytes:
    """The file after one of dcmtk's tools."""
    (folder / "in.dcm").write_bytes(data)
    run(tool[0], *tool[1:], folder / "in.dcm", folder / "out.dcm")
    return (folder / "out.dcm").read_bytes()


def jpeg_2000(made: Dataset, *, lossy: bool = False) -> bytes:
    """The file compressed as JPEG 2000."""
    from pydicom.uid import JPEG2000, JPEG2000Lossless

    if lossy:
        made.compress(JPEG2000, j2k_psnr=[60], encoding_plugin="pylibjpeg")
    else:
        made.compress(JPEG2000Lossless, encoding_plugin="pylibjpeg")
    return encoded(made)


def rendered(data: bytes, folder: Path, *options: str, tool: str = "dcm2pnm") -> NDArray[np.float64]:
    """What dcmtk shows, (H, W) in [0, 1], with 16 bits for grey: with 8 it rounds down. Colours become grey by BT.601."""
    from PIL import Image

    (folder / "shown.dcm").write_bytes(data)
    run(tool, *options, "+on2", folder / "shown.dcm", folder / "shown.png")
    with Image.open(folder / "shown.png") as image:
        if image.mode == "RGB":  # Pillow keeps the high byte of each
            return np.asarray(image, np.float64) @ [0.299, 0.587, 0.114] / 255
        return np.asarray(image, np.float64) / 65535


def run(*command: str | Path) -> None:
    """A program that must succeed."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr or done.stdout


def alike(ours: NDArray[Any], theirs: NDArray[Any], *, share: float = 0.999) -> None:
    """At least this share of pixels within 1/255."""
    assert ours.shape == theirs.shape
    near = (np.abs(ours - theirs) <= 1 / 255 + 1e-6).mean()
    assert near >= share, f"{near:.4%} of pixels within 1/255, worst {np.abs(ours - theirs).max():.4f}"
