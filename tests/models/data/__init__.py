"""What earlier versions wrote, and the network of theirs."""

from cxreader.models.registry import ModelEntry

TINY = ModelEntry("tiny", build="tests.models.data.tiny:tiny", reference="two blocks of 4 and 8 channels")
