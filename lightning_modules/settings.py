"""Export settings, as they stand in the YAML."""

from dataclasses import dataclass

from lightning_modules.errors import UserError


@dataclass(frozen=True)
class Export:
    """How the trained model becomes ONNX, and what the result has to hold.

    Args:
        version: of the model, as TorchServe names it.
        opset: ONNX operator set.
        check_rows: test rows, at most, on which the ONNX forms are compared with torch.
        max_logit_difference: of fp32 ONNX against torch; more fails the export.
        max_accuracy_loss: of INT8 against torch, as a share of the rows (0.01: one point); more fails the export.
        max_f1_loss: the same for the F1 of question answering.
        min_agreement: share of the rows on which INT8 must give torch's label; less fails the export.
    """

    version: str = "1.0"
    opset: int = 18
    check_rows: int = 5000
    max_logit_difference: float = 1e-3
    max_accuracy_loss: float = 0.01
    max_f1_loss: float = 0.005
    min_agreement: float = 0.99

    def __post_init__(self) -> None:
        if self.check_rows < 1:
            raise UserError(f"export.check_rows is {self.check_rows}: give 1 or more")
