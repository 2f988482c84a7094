"""The program, top to bottom: images, split, cache, phases, calibration, Artifact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cxreader import torch_setup  # before Lightning

# isort: split
import numpy as np
import torch

from cxreader.config import Config
from cxreader.data.augment import Augmentation
from cxreader.data.cache import PixelCache, build_cache
from cxreader.data.dataset import CachedImages, derive_seed
from cxreader.data.index import Index
from cxreader.data.sources import locate, open_source
from cxreader.data.split import Split, leak, load_split, make_split, official_parts, patient_hash
from cxreader.errors import DataError, UsageError
from cxreader.evaluation.calibration import apply_temperature, fit_temperature
from cxreader.evaluation.operating_points import youden
from cxreader.imaging.preprocess import InputSpec
from cxreader.models.artifact import Artifact, TrainingPatients, save_artifact, sha256
from cxreader.models.registry import create_model
from cxreader.models.stages import StagedModel
from cxreader.models.weights import NO_TRANSFER, Transfer, load_pretrained
from cxreader.records import ABNORMAL, Calibration
from cxreader.runs import RunFolder, provenance, write_json
from cxreader.training.fit import Settings, fit_phase, predict_logits, state_bytes
from cxreader.training.module import Recipe
from cxreader.training.phases import PhaseResult, better, planned_phases
