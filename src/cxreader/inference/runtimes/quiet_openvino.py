"""Imported before OpenVINO, which reports every import to its makers, unasked, where the package that does so can be imported.

Where it cannot, OpenVINO takes a stub of its own that reports nothing.
"""

from __future__ import annotations

import sys

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type] # None: an import of it fails
