"""The emulator's fault with layers, and what restores AWS's behaviour, as in `corrected_ministack`.

It must not know what the layers hold.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ministack.core import lambda_runtime

#: What the folder of a layer is called in the folder of an environment, before its number.
LAYER_PREFIX = "layer_"


def unpack_layers_once() -> None:
    """Let an environment find its layers as they were unpacked for the first.

    AWS: a layer is mounted at /opt of every environment that has it, and none unpacks it.
    ministack 1.5.33: unpacks each layer again for each environment, whose Python then compiles all
    that it imports of it: most of what a cold start costs.
    """
    lambda_runtime.zipfile = SimpleNamespace(
        ZipFile=SharedLayer,
        BadZipFile=zipfile.BadZipFile,
        LargeFileError=zipfile.LargeZipFile,
    )


class SharedLayer(zipfile.ZipFile):
    """A package as the emulator unpacks it: if it is a layer, its folder becomes a link."""

    _unpacking = threading.Lock()

    def namelist(self) -> list[str]:
        """None of a layer that is unpacked: its names were looked at before."""
        is_there = self._is_layer() and self._shared_folder().is_dir()
        return [] if is_there else super().namelist()

    def extractall(self, path: Any = None, *rest: Any, **more: Any) -> None:
        if not self._is_layer():
            super().extractall(path, *rest, **more)
            return
        shared = self._shared_folder()
        with self._unpacking:
            if not shared.is_dir():
                half = shared.with_suffix(".part")
                super().extractall(half, *rest, **more)
                half.rename(shared)
        link = Path(path)
        link.rmdir()
        link.symlink_to(shared)

    def _is_layer(self) -> bool:
        return Path(str(self.filename)).name.startswith(LAYER_PREFIX)

    def _shared_folder(self) -> Path:
        """By content: other versions of the layer are other folders."""
        digest = hashlib.sha256(Path(str(self.filename)).read_bytes()).hexdigest()
        return Path(tempfile.gettempdir()) / "layers" / digest
