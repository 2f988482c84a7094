"""What a reader needs to be measured: an artifact whose network has learnt nothing, and DICOM files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np


def make_artifact(folder: Path, model: str, size: int, files: Sequence[str] = ()) -> Path:
    """An exported network with random weights: how fast it is does not depend on what it has learnt.

    With `files` an acceptance rule is fitted on them: what it costs is what counts.
    """
    from cxreader import torch_setup  # noqa: F401 - before timm

    # isort: split
    import torch
    from safetensors.torch import save

    from cxreader.imaging.preprocess import InputSpec
    from cxreader.imaging.read import read
    from cxreader.inference.runtimes.export import export_onnx
    from cxreader.models.acceptance.out_of_distribution import fit_ood_detector
    from cxreader.models.artifact import Artifact, TrainingPatients, save_artifact, sha256
    from cxreader.models.registry import create_model
    from cxreader.records import OperatingPoint

    torch.manual_seed(0)
    network = create_model(model, size=size)
    known = None
    with torch.no_grad():
        for norm in (module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)):
            norm.weight.fill_(1)  # some begin at 0, and what is behind them would then cost nothing in 8 bits
        network.train()(torch.randn(8, 3, size, size))  # statistics of batches other than 0 and 1
        network.eval()
        if files:
            pixels = np.stack([InputSpec(size).pixels(read(path)) for path in files])
            _, features = network.maps_and_features(torch.from_numpy(InputSpec(size).normalise(pixels)), "last_block")
            known = fit_ood_detector((pixels, features.numpy()), (pixels, features.numpy()), 0.01)
    weights = bytes(save(network.state_dict()))
    artifact = Artifact(
        model=model,
        dropout=0.2,
        spec=InputSpec(size),
        calibration={"temperature": 1.0, "n_positive": 30, "n_negative": 30, "method": "temperature"},
        operating_points=(OperatingPoint.given(0.5),),
        transfer="none: random weights",
        patients=TrainingPatients("salt", {"train": (), "tune": (), "calibrate": ()}, ()),
        weights_sha256=sha256(weights),
        acceptance=None if known is None else known.to_dict(),
    )
    save_artifact(artifact, weights, folder)
    export_onnx(folder)
    return folder


def write_dicoms(paths: list[str], folder: Path) -> list[str]:
    """A chest radiograph of 12 bits with its window for each file, each with an identity of its own."""
    from PIL import Image
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

    folder.mkdir()
    pictures = {p: np.asarray(Image.open(p).convert("L").resize((1024, 1024)), np.uint16) * 16 for p in set(paths)}
    written = []
    for n, path in enumerate(paths):
        data = Dataset()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = DigitalXRayImageStorageForPresentation
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
        data.Modality, data.BodyPartExamined, data.ViewPosition = "DX", "CHEST", "PA"
        data.PresentationIntentType = "FOR PRESENTATION"
        data.Rows, data.Columns = pictures[path].shape
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
        data.WindowCenter, data.WindowWidth = 2048, 4096
        data.PixelData = pictures[path].tobytes()
        written.append(str(folder / f"{n:06d}.dcm"))
        data.save_as(written[-1], enforce_file_format=True)
    return written
