"""The numbers of the study whose protocol is repeated here, as it prints them; never a result of this project."""

from __future__ import annotations

from dataclasses import dataclass

STUDY_TITLE = "Deep Learning Approaches for Chest X-Ray Abnormality Detection Using Transfer Learning and Grad-CAM"
STUDY_DATA = (
    "about 20,000 images of NIH ChestX-ray14, normal and abnormal balanced, split 70/15/15, 224 px; it does not say that "
    "the split was by patient"
)
STUDY_NOTE = (
    "The study prints no intervals. It gives the grid's winner a test accuracy of 0.6767 in one place and 0.6770 in "
    "others, and the custom CNN's accuracies as 0.49 % and 0.5 %, read here as fractions."
)


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One network of the study, shares in [0, 1]; None where the study prints nothing.

    `approximate` is True where it prints a round figure.
    """

    network: str
    tune_accuracy: float
    accuracy: float
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    auc: float | None = None
    approximate: bool = False

    def words(self, name: str) -> str:
        """One of its numbers as printed, such as `0.6613` or `about 0.50`; a dash where there is none."""
        value: float | None = getattr(self, name)
        if value is None:
            return "–"  # noqa: RUF001  a dash in an empty cell
        return f"about {value:.2f}" if self.approximate else f"{value:.4f}"


CUSTOM_CNN = PublishedRow("Custom CNN, from scratch", 0.49, 0.50, approximate=True)
RESNET18 = PublishedRow("ResNet18, two phases", 0.6637, 0.6613, 0.6660, 0.6473, 0.6565, 0.7109)
DENSENET121 = PublishedRow("DenseNet121, last dense block", 0.6867, 0.6770, 0.6812, 0.6653, 0.6732, 0.7243)
EFFICIENTNET_CLASSIFIER = PublishedRow("EfficientNet-B0, classifier only", 0.6710, 0.6767)
EFFICIENTNET_BEST = PublishedRow("EfficientNet-B0, best of 16", 0.6847, 0.6770, 0.6642, 0.7147, 0.6885, 0.7270)

PUBLISHED = {
    "custom_cnn": CUSTOM_CNN,
    "resnet18": RESNET18,
    "densenet121": DENSENET121,
    "efficientnet_b0_classifier": EFFICIENTNET_CLASSIFIER,
    "efficientnet_b0_best_of_16": EFFICIENTNET_BEST,
}
