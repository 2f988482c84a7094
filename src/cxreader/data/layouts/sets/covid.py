"""COVID-19 Radiography Database: four folders of pictures gathered from many sets, and lung masks.

Chowdhury et al., IEEE Access 2020 (doi:10.1109/ACCESS.2020.3010287), Rahman et al., Computers in Biology and Medicine 2021:
`COVID/images/COVID-1.png`, `COVID/masks/COVID-1.png`, and so `Lung_Opacity`, `Normal`, `Viral Pneumonia`; earlier versions have
no `images` folder. The publisher's README names where the pictures come from: Normal of RSNA (8,851) and of Kermany's children
(1,341), Lung_Opacity of RSNA, Viral Pneumonia of the children, COVID of BIMCV and others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cxreader.data.index import Index
from cxreader.data.layouts.files import by_last, find_pictures
from cxreader.data.layouts.layout import Gathered, Layout, Mark, Options
from cxreader.data.layouts.seen import Seen
from cxreader.findings import OTHER
from cxreader.records import ABNORMAL, NORMAL, ImageRecord

NAME: Final = "covid"
CLASSES: Mapping[str, str | None] = {
    "normal": None,
    "covid": OTHER,
    "covid-19": OTHER,
    "lung_opacity": OTHER,
    "lung opacity": OTHER,
    "viral pneumonia": "Pneumonia",
}
MIXED = (
    "the classes come from different sets (Normal: RSNA and children, Lung_Opacity: RSNA, COVID: BIMCV and others, Viral "
    "Pneumonia: children): a model can tell the source in the place of the disease"
)


def open_covid(seen: Seen, options: Options) -> Index:
    """The index of the pictures under the four folders. Raises DataError where there is none."""
    pictures = find_pictures(seen.root, _place)
    gathered, outside = Gathered(), 0
    for name, path in pictures.paths.items():
        folder = name.split("/")[0].lower()
        if folder not in CLASSES:
            outside += 1
            continue
        finding = CLASSES[folder]
        gathered.records.append(
            ImageRecord(
                image=name,
                label=NORMAL if finding is None else ABNORMAL,
                path=path,
                source=NAME,
                findings=() if finding is None else (finding,),
                subtype=None if finding is None else folder,
            )
        )
    gathered.counts["[picture lies|pictures lie] under none of the four folders: left out"] = outside
    gathered.said.append(MIXED)
    return gathered.index(LAYOUT, seen, options, pictures, outside)


def _place(path: str) -> str:
    """The class's folder and the file, without the folder `images` between them."""
    *folders, name = by_last(3)(path).split("/")
    return "/".join((*[folder for folder in folders if folder.lower() != "images"][-1:], name))


LAYOUT = Layout(
    name=NAME,
    title="COVID-19 Radiography Database",
    holds="COVID, Lung_Opacity, Normal and Viral Pneumonia, each with images and masks (left out), or the pictures alone",
    licence="the original authors' (Kaggle names no other); two papers to be cited",
    url="https://www.kaggle.com/datasets/tawsifurrahman/covid19-radiography-database",
    labels="those of the sets and papers that the pictures come from",
    policy="Normal is normal, the other three abnormal; the source gives most classes away, so figures on it flatter; no measure "
    "for a model that has seen RSNA's, the NIH's or Kermany's pictures",
    patients="none is known",
    pages=(
        "doi:10.1109/ACCESS.2020.3010287",
        "doi:10.1016/j.compbiomed.2021.104319",
        "kaggle.com/datasets/tawsifurrahman/covid19-radiography-database (README, terms)",
    ),
    findings=CLASSES,
    marks=(
        Mark(
            "folders COVID and Normal",
            lambda seen: seen.has_folders("covid", "covid-19", least=1) and seen.has_folders("normal"),
        ),
        Mark(
            "pictures named as COVID-1.png",
            lambda seen: seen.has_names(r"(COVID(-19)?|Normal|Lung.Opacity|Viral Pneumonia)[ -]?\(?\d+\)?\.\w+"),
        ),
    ),
    open=open_covid,
)
