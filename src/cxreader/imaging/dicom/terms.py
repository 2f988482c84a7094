"""The words that codes of a DICOM header may be: the standard's terms, and a few spellings that devices write.

A header's field is compared with its list and with nothing else. What is not on the list may be anything, a name too, and
stays in the file.
"""

from __future__ import annotations

from itertools import permutations, product


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MODALITIES = _words(
    """
    AR ASMT AU BDUS BI BMD CFM CR CT CTPROTOCOL DG DMS DOC DX ECG EEG EMG EOG EPS ES FID GM HC HD IO IOL IVOCT IVUS KER KO
    LEN LS M3D MG MR NM OAM OCT OP OPM OPT OPTBSV OPTENF OPV OSS OT PA PLAN POS PR PT PX REG RESP RF RG RTDOSE RTIMAGE
    RTINTENT RTPLAN RTRAD RTRECORD RTSEGANN RTSTRUCT RX SEG SM SMR SR SRF STAIN TEXTUREMAP TG US VA XA XAPROTOCOL XC
    AS CD CF CP CS DD DF DM DS EC FA FS LP MA MS OPR ST VF
    """
)
"""PS3.3 C.7.3.1.1.1; the last line's are retired."""

BODY_PARTS = _words(
    """
    ABDOMEN ABDOMENPELVIS ADRENAL ANKLE AORTA ARM AXILLA BACK BLADDER BRAIN BREAST BRONCHUS BUTTOCK CALCANEUS CALF CAROTID
    CEREBELLUM CERVIX CHEEK CHEST CHESTABDOMEN CHESTABDPELVIS CIRCLEOFWILLIS CLAVICLE COCCYX COLON CORNEA CORONARYARTERY
    CSPINE CTSPINE DUODENUM EAR ELBOW ESOPHAGUS EXTREMITY EYE EYELID FACE FEMUR FINGER FOOT FOREARM GALLBLADDER HAND HEAD
    HEADNECK HEART HIP HUMERUS IAC ILEUM ILIUM JAW JEJUNUM KIDNEY KNEE LARYNX LEG LIVER LSPINE LSSPINE LUNG MAXILLA
    MEDIASTINUM MOUTH NECK NECKCHEST NECKCHESTABDOMEN NECKCHESTABDPELV NOSE ORBIT OVARY PANCREAS PAROTID PATELLA PELVIS
    PENIS PHARYNX PROSTATE RADIUS RECTUM RIB SCALP SCAPULA SCLERA SCROTUM SHOULDER SIJOINT SKULL SPINE SPLEEN SSPINE
    STERNUM STOMACH SUBMANDIBULAR TESTIS THIGH THUMB THYMUS THYROID TIBIA TLSPINE TMJ TOE TONGUE TRACHEA TSPINE ULNA URETER
    URETHRA UTERUS VAGINA VULVA WHOLEBODY WRIST ZYGOMA
    LUNGS RIBCAGE RIBS THORAX
    """
) | {"PORT CHEST", "WHOLE BODY"}
"""PS3.16 Annex L, Body Part Examined; the last six are spellings that devices write."""

VIEWS = _words(
    """
    AP PA LL RL RLD LLD RLO LLO LAO RAO LPO RPO
    CC MLO ML LM LMO XCCL XCCM FB SIO ISO CV AT
    AXIAL DECUBITUS LAT LATERAL LORDOTIC OBLIQUE OBL SWIMMERS TANGENTIAL
    """
) | {"AP AXIAL", "AP LLD", "AP RLD", "PA LLD", "PA RLD", "XTABLE LATERAL"}
"""View Position: PS3.3 C.8.1.1.1.1 and C.8.11.5, of mammograms, and spellings that devices write."""

POSTURES = frozenset(
    first + lay for first, lay in product(("HF", "FF", "LF", "RF", "AF", "PF"), ("P", "S", "DR", "DL"))
) | _words("ERECT UPRIGHT STANDING SITTING SUPINE PRONE RECUMBENT SEMIERECT SEMI_ERECT")
"""How a patient lay or stood (PS3.3 C.7.3.1.1.2, such as HFS), and plain words for it: none of them is a view."""

POSITIONS = POSTURES | VIEWS
"""Patient Position: files that say PA or AP there mean the view."""

DIRECTIONS = frozenset(
    "".join(letters)
    for axes in (1, 2, 3)
    for pairs in permutations(("AP", "LR", "HF"), axes)
    for letters in product(*pairs)
)
"""Patient Orientation's words, one letter an axis (PS3.3 C.7.6.1.1.1): L, AL, HLA."""

LATERALITIES = frozenset("LRUB")
INTENTS = frozenset(("FOR PRESENTATION", "FOR PROCESSING"))
PHOTOMETRIC = _words(
    """
    MONOCHROME1 MONOCHROME2 RGB YBR_FULL YBR_FULL_422 YBR_PARTIAL_422 YBR_PARTIAL_420 YBR_ICT YBR_RCT HSV ARGB CMYK XYB
    """
) | {"PALETTE COLOR"}
"""PS3.3 C.7.6.3.1.2."""
