"""The words that pages use: plain first, then what a statistician wants to know. Every page holds them, and the documentation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Term:
    """A word with its meaning in plain words, and `exactly`: the definition or source behind it."""

    name: str
    plain: str
    exactly: str


GLOSSARY = (
    Term(
        "Abnormal",
        "Anything a radiologist would report. The labels are those of whoever made the data set.",
        "Label 1; AUC, sensitivity and predictive values take it as the positive class.",
    ),
    Term(
        "Acceptance",
        "Whether an image is of the kind the model knows: accepted, with a warning, or refused without an answer.",
        "Header, picture, orientation, sharpness and an out-of-distribution score, each with a bound on false refusals.",
    ),
    Term(
        "Arbiter",
        "A third reader who decides where the first reader and the model differ.",
        "Each remaining reader in turn, never one who sets the truth; figures are means over them.",
    ),
    Term(
        "Artifact",
        "The trained model as a folder: network, calibration, thresholds, and what it was judged on.",
        "artifact.json and model.safetensors; its id is the head of a digest over its content.",
    ),
    Term(
        "AUC",
        "How often an abnormal image gets a higher probability than a normal one: 1 always, 0.5 by chance.",
        "Area under the ROC curve, ties counted half (Mann-Whitney).",
    ),
    Term(
        "Baseline, learnt elsewhere or here",
        "Learnt elsewhere: from the images that taught the model. Learnt here: from other patients among those judged.",
        "Margins are quoted against the first where it can be had; the audit for shortcuts decides by the second.",
    ),
    Term(
        "Baseline, thumbnail",
        "Something simpler on the same images, such as 256 grey values. A model that is no better has shown nothing.",
        "Ridge-penalised logistic regression, its penalty chosen by patient inside the images it learns from.",
    ),
    Term(
        "Brier score",
        "How far probabilities lie from what was true, squared: 0 is best.",
        "Mean of (probability - label) squared; reliability - resolution + uncertainty, and two terms within bins.",
    ),
    Term(
        "Calibration, temperature",
        "That of 100 images with a probability of 0.8 about 80 are abnormal. Set on images of other patients.",
        "The score divided by one fitted number (Guo 2017), or Platt's line, or an isotonic step function.",
    ),
    Term(
        "Confidence interval, 95 %",
        "How far a number would move with other patients of the same kind.",
        "Percentile bootstrap by patient, the primary one; BCa and DeLong where they are compared; exact for 0 and 1.",
    ),
    Term(
        "Conformal",
        "A second, more careful rule: normal, abnormal, or no answer, so that few of each class are called the other.",
        "Class-wise split conformal prediction (Vovk 2013; Sadinle 2019) with error bound alpha.",
    ),
    Term(
        "Decision curve, net benefit",
        "Whether the model is worth more than calling back everybody or nobody, if a miss is so much worse than an alarm.",
        "True positives less false positives weighted by the odds of the threshold, by image (Vickers and Elkin 2006).",
    ),
    Term(
        "ECE",
        "Calibration error: how far probabilities lie from the share that was abnormal, on average.",
        "Expected calibration error over bins of equal mass; positive by chance alone, which is told beside it.",
    ),
    Term(
        "Exact bound",
        "Where nothing went wrong, how bad it may still be: 20 of 20 found leaves 83 % possible.",
        "Clopper and Pearson (1934) with each patient one trial; the lower bound of n of n is 0.025 to the power 1 / n.",
    ),
    Term(
        "Flagged",
        "Called abnormal at the threshold, rightly or wrongly.",
        "Probability of abnormal at or above the operating point; of all images judged, the share (TP + FP) / n.",
    ),
    Term(
        "Grad-CAM, heat map",
        "Where the network's answer depends most on the picture. No outline of a disease.",
        "Channels of the last spatial stage weighted by the mean gradient of the abnormal logit (Selvaraju 2017); of the custom "
        "CNN, which flattens them, by the gradient of each place (HiResCAM, Draelos 2020).",
    ),
    Term(
        "Holm",
        "Who looks at twenty groups finds one by chance; the p-values are made stricter for that.",
        "Step-down Bonferroni (Holm 1979), over all gaps tested.",
    ),
    Term(
        "Kappa",
        "How far two readers agree beyond what chance would give: 1 fully, 0 not at all.",
        "Cohen 1960: (observed - expected agreement) / (1 - expected agreement).",
    ),
    Term(
        "Leak",
        "The same patient in training and in the test, which flatters a model.",
        "Share of test images whose patient stands in train, or in train, tune or calibrate.",
    ),
    Term(
        "Likelihood ratio, LR+ and LR-",
        "How many times as often an alarm (or none) is met in the abnormal as in the normal.",
        "Sensitivity / (1 - specificity), and (1 - sensitivity) / specificity.",
    ),
    Term(
        "Natural, equal, ratio",
        "Whether the parts keep the data's own share of abnormal images, half and half, or a share you state.",
        "Balance of a split; natural ones are stratified by whole patients.",
    ),
    Term(
        "Operating point, threshold",
        "From which probability on an image is called abnormal. The first of an artifact is the primary one.",
        "Fitted on calibrate by a rule, such as Youden's (largest sensitivity + specificity - 1).",
    ),
    Term(
        "Out-of-distribution score",
        "How unlike the training images a picture is; above 1 it is refused.",
        "Distance of the network's features in multiples of the threshold fitted on calibrate.",
    ),
    Term(
        "Panel",
        "The readers whose majority is taken for the truth; each of them is judged by the others alone.",
        "Ties are left out and counted; without a panel the table's own label is the truth, unless readers' votes made it.",
    ),
    Term(
        "PPV, NPV",
        "Of the alarms, the share that is right; of the images called normal, the share that is. Both move with the prevalence.",
        "Positive and negative predictive value; at another prevalence by Bayes, rates of the classes kept.",
    ),
    Term(
        "Prevalence",
        "The share of patients who are abnormal, where the model would work or in a sample.",
        "Deployed figures keep the rates of both classes and reweight them.",
    ),
    Term(
        "Random readers",
        "Numbers that hold for other readers and other patients like these, not for these alone.",
        "Obuchowski and Rockette 1995, with the degrees of freedom of Hillis 2007.",
    ),
    Term(
        "Random trainings",
        "One interval for other trainings of a network and other patients together, not for these trainings alone.",
        "Obuchowski and Rockette 1995 for one modality, trainings as readers; degrees of freedom by Hillis 2007.",
    ),
    Term(
        "Refer",
        "The model does not answer, and a person must: models disagree, or threshold and conformal rule do.",
        "Decision refer; probabilities further apart than the stored bound, or a conformal label that is not the threshold's.",
    ),
    Term(
        "Salt",
        "A number mixed into patients' names before they are dealt out: each always gets one part.",
        "The first of 10,000 whose hashed parts have the wanted shares and label rates. A second one hides names.",
    ),
    Term(
        "Score",
        "What stands in place of a probability where too few images calibrated the model: higher is more suspicious, no more.",
        "Below 20 calibration images of a class; the value compared with the threshold, in 0 to 1.",
    ),
    Term(
        "Sensitivity, specificity",
        "Of the abnormal images, the share found; of the normal ones, the share called normal.",
        "True positive rate (recall) and true negative rate at the operating point.",
    ),
    Term(
        "Shortcut",
        "Something beside the disease that gives the label away, such as the hospital or a device.",
        "Suspected where a baseline that sees no disease comes near the model, or sources and labels coincide.",
    ),
    Term(
        "Significant",
        "A difference larger than chance would often give, whatever it is worth. What is not significant may still be there.",
        "Two-sided p below 0.05, after Holm's correction for all gaps tested.",
    ),
    Term(
        "Train, tune, calibrate, test",
        "Four groups of patients: to learn, to choose, to set probabilities and thresholds, to judge. Nobody is in two.",
        "Validation is halved into tune and calibrate.",
    ),
    Term(
        "Venn-Abers pair",
        "Two probabilities between which an image's own lies; far apart where few images are like it. No confidence interval.",
        "Isotonic fits with the image added once as normal and once as abnormal (Vovk and Petej 2012).",
    ),
    Term(
        "Worklist",
        "The order in which people look at images, the most urgent first. Nobody is left out.",
        "Alarms and referrals, then what has no answer, then normal in doubt, then normal.",
    ),
)
"""By name."""


def glossary_markdown(note: str) -> str:
    """The page of the documentation: plain words, the statistician's folded behind; `note` stands below its title."""
    lines = ["# Glossary", "", note, "", "Plain words first; behind the arrow, what a statistician wants to know.", ""]
    for term in GLOSSARY:
        lines += [
            f"**{term.name}**: {term.plain}",
            "",
            f"<details><summary>exactly</summary>{term.exactly}</details>",
            "",
        ]
    return "\n".join(lines)
