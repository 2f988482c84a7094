"""DICOMweb (PS3.18): STOW-RS takes images, QIDO-RS and WADO-RS give what is held, as it came or as a picture."""

from cxreader.serving.web.dicomweb import frames, qido, rendered, stow, wado

ROUTERS = (qido.router, wado.router, frames.router, rendered.router)
UPLOADS = (stow.router,)
"""What takes images."""
