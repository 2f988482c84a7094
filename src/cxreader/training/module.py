"""The LightningModule: one phase of one network. Everything random comes from (seed, phase, epoch, step)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cxreader import torch_setup  # noqa: F401 - before Lightning, whose metrics import torchvision

# isort: split
import lightning
import torch
from timm.layers import convert_sync_batchnorm
from torch import Tensor, distributed, nn
from torch.nn import functional
from torchmetrics.classification import BinaryAccuracy, BinaryAUROC

from cxreader.data.augment import Augmentation
from cxreader.data.dataset import WHOLE, Batch, BatchShare, derive_seed, grey, normalise
from cxreader.errors import ModelError
from cxreader.imaging.preprocess import InputSpec
from cxreader.models.stages import StagedModel
from cxreader.training.phases import Phase

Watch = Callable[[str, Mapping[str, Any]], None]
"""Called with the phase's name and the epoch's record of the history after every epoch, and again after a resumption."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What all phases share. `class_weights`: loss weights of (normal, abnormal), None for equal ones.

    `batch_statistics`: BatchNorm as usual; without, by the statistics that the weights came with (`StagedModel.learn`).
    """

    seed: int
    spec: InputSpec
    augmentation: Augmentation | None
    optimizer: Literal["adam", "adamw"] = "adam"
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine", "one-cycle"] = "constant"
    label_smoothing: float = 0.0
    class_weights: tuple[float, float] | None = None
    batch_statistics: bool = True


class PhaseModule(lightning.LightningModule):
    """Trains the stages from the cut of `model` on; logs train_loss and tune_loss, tune_accuracy, tune_auc every epoch.

    Batches are pixels uint8 (N, H, W); with `stage`, the last frozen one, what came out of it. A process that has a `share` of
    each batch (`SharedImages`) draws what one process would for the same images; the mean of the shares' losses and gradients
    is the whole batch's. BatchNorm normalises by the images of the share, unless it is synchronised or frozen.
    """

    strict_loading = False  # what is frozen is not saved with every epoch

    def __init__(
        self,
        model: StagedModel,
        phase: Phase,
        recipe: Recipe,
        *,
        stage: str | None = None,
        share: BatchShare = WHOLE,
        watch: Watch | None = None,
    ) -> None:
        super().__init__()
        self.model = model.train().learn(phase.learn, batch_statistics=recipe.batch_statistics)
        self.phase, self.recipe, self.stage, self.share, self.watch = phase, recipe, stage, share, watch
        self.dropout = SharedDropout(float(model.drop.p), share)  # type: ignore[union-attr, arg-type] # it is nn.Dropout
        if share != WHOLE:
            model.drop = self.dropout
        self.network: Callable[[Tensor], Tensor] = model.forward  # what `torch.compile` replaces
        self.history: list[dict[str, Any]] = []
        self.accuracy, self.auc = BinaryAccuracy(), BinaryAUROC()
        weights = recipe.class_weights
        self.class_weights = None if weights is None else torch.tensor(weights)

    def configure_optimizers(self) -> Any:
        """Adam or AdamW over what learns.

        `cosine` falls to zero at the phase's last epoch; `one-cycle` rises to the phase's rate first (Smith and Topin 2019).
        """
        kind = torch.optim.Adam if self.recipe.optimizer == "adam" else torch.optim.AdamW
        learning = [p for p in self.model.parameters() if p.requires_grad]
        optimizer = kind(learning, lr=self.phase.lr, weight_decay=self.recipe.weight_decay)
        if self.recipe.schedule == "constant":
            return optimizer
        if self.recipe.schedule == "cosine":
            return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=self.phase.epochs)]
        steps = int(self.trainer.estimated_stepping_batches)
        cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=self.phase.lr, total_steps=steps)
        return [optimizer], [{"scheduler": cycle, "interval": "step"}]

    def on_train_epoch_start(self) -> None:
        """The epoch's clock; nothing random hangs on this hook, which a resumed epoch may meet at another moment."""
        self._started = time.perf_counter()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one batch."""
        given, label, *supervision = batch
        seed = derive_seed(self.recipe.seed, self.phase.name, self.current_epoch, batch_idx)
        loss = self._loss(self._logits(given, seed, len(label)), label, *supervision)
        self._log("train_loss", loss, len(label), on_step=False, prog_bar=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002 - Lightning's signature
        """Loss, accuracy and AUC on `tune`, by the labels as they are."""
        given, label = batch[:2]
        logits = self._logits(given)
        self._log("tune_loss", self._loss(logits, label), len(label))
        if not self.share.is_idle(len(label)):
            margin = (logits[:, 1] - logits[:, 0]).float()
            self.accuracy.update(margin > 0, self._own(label))
            self.auc.update(margin.double().sigmoid(), self._own(label))
        self._log("tune_accuracy", self.accuracy, len(label), prog_bar=True)
        self._log("tune_auc", self.auc, len(label), prog_bar=True)

    def on_validation_model_eval(self) -> None:
        """Before `tune` is judged each running statistic of BatchNorm becomes its mean over the processes."""
        if self.share != WHOLE:
            for norm in self.model.modules():
                if isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.training:
                    for statistic in (norm.running_mean, norm.running_var):
                        if statistic is not None:
                            distributed.all_reduce(statistic)
                            statistic.div_(self.share.ranks)
        super().on_validation_model_eval()

    def on_train_epoch_end(self) -> None:
        """Every epoch's figures are kept in the checkpoint, so that a resumed run has its whole history."""
        figures = {name: float(value) for name, value in self.trainer.callback_metrics.items()}
        if not all(math.isfinite(figures[name]) for name in ("train_loss", "tune_loss")):
            where = f"phase {self.phase.name}, epoch {self.current_epoch + 1}"
            raise ModelError("the loss is no longer a number", where=where, mend="lower its learning rate")
        seconds = round(time.perf_counter() - self._started, 3)
        record = {"epoch": self.current_epoch, "seconds": seconds, "devices": self.share.ranks, **figures}
        self.history = [*self.history[: self.current_epoch], record]
        if self.watch is not None:
            self.watch(self.phase.name, record)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the history; leave the frozen stages out, which the phase was given and does not change."""
        checkpoint["history"] = self.history
        learning = tuple(f"model.{name}." for name in self.model.names[self.model.names.index(self.model.cut) :])
        checkpoint["state_dict"] = {k: v for k, v in checkpoint["state_dict"].items() if k.startswith(learning)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the history."""
        self.history = checkpoint["history"]
        for record in self.history if self.watch is not None else ():
            self.watch(self.phase.name, record)  # type: ignore[misc] # mypy forgets the condition

    def _logits(self, given: Tensor, seed: int | None = None, count: int = 0) -> Tensor:
        """From pixels, or from the frozen stages' outputs on; with `seed` as drawn for a batch of `count`, and with dropout."""
        self.dropout.count = count
        if self.stage is not None:
            if seed is not None:
                torch.manual_seed(seed)  # dropout draws from the global generator
            return self.model.after(given.float(), self.stage)
        x = grey(given)
        if seed is not None:
            if self.recipe.augmentation is not None:
                draws = self.recipe.augmentation.draws(count, seed)
                x = self.recipe.augmentation.changed(x, draws[self.share.places(count)])
            torch.manual_seed(seed)
        logits: Tensor = self.network(normalise(x, self.recipe.spec))
        return logits

    def _loss(self, logits: Tensor, label: Tensor, supervision: Tensor | None = None) -> Tensor:
        """Of the share's logits, so that its mean over the processes is the mean loss of the batch, of which all is taught."""
        ranks, smoothing = self.share.ranks, self.recipe.label_smoothing
        if self.share.is_idle(len(label)):
            return 0 * logits.sum()
        if supervision is not None:
            abnormal, worth = supervision.to(logits).unbind(dim=1)
            own = self._own(abnormal)
            target = torch.stack([1 - own, own], dim=1)
            each = functional.cross_entropy(logits, target, label_smoothing=smoothing, reduction="none")
            return ranks * (self._own(worth) * each).sum() / worth.sum()
        weight = None if self.class_weights is None else self.class_weights.to(logits)
        loss = functional.cross_entropy(logits, self._own(label), weight=weight, label_smoothing=smoothing)
        worth = torch.ones_like(label, dtype=logits.dtype) if weight is None else weight[label]
        return loss * (ranks * self._own(worth).sum() / worth.sum())

    def _own(self, values: Tensor) -> Tensor:
        """Of values of a whole batch those of the share's images."""
        return values[self.share.rank :: self.share.ranks]

    def _log(self, name: str, value: Any, count: int, **how: bool) -> None:
        """An epoch's mean over batches of `count` images, and over the processes."""
        self.log(name, value, on_epoch=True, batch_size=count, sync_dist=self.share != WHOLE, **how)


class SharedDropout(nn.Dropout):
    """Dropout as one process would draw it for the whole batch of `count` images, of which `share` says the own."""

    def __init__(self, p: float, share: BatchShare) -> None:
        super().__init__(p)
        self.share, self.count = share, 0

    def forward(self, x: Tensor) -> Tensor:
        """(n, D) of the own images to the same."""
        if not self.training or self.p == 0:
            return x
        places = self.share.places(self.count)
        whole = x.new_zeros(self.count, *x.shape[1:])
        whole[places] = x
        return super().forward(whole)[places]


def synchronised(model: StagedModel) -> StagedModel:
    """The network, its BatchNorm by the statistics of all processes' images; for GPUs: torch has it for no CPU.

    By timm's conversion: torch's own would replace the norms that timm made with their activation in them by bare ones.
    """
    converted: StagedModel = convert_sync_batchnorm(model)
    return converted
