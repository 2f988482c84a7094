"""DICOMweb (PS3.18): STOW-RS takes images, QIDO-RS and WADO-RS give what is held, as it came."""

from cxreader.serving.web.dicomweb import qido, stow, wado

ROUTERS = (qido.router, wado.router)
UPLOADS = (stow.router,)
"""What takes images."""
