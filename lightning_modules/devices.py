"""What the machine at hand can do."""

from typing import Literal

import torch

Precision = Literal["16-mixed", "bf16-mixed", "32-true"]


def best_precision(accelerator: str) -> Precision:
    """fp16 on CUDA and Apple's MPS, bf16 on a CPU that computes in it, else fp32.

    `accelerator` is the trainer's setting; `auto` looks at the machine.
    """
    if accelerator in ("cuda", "gpu", "auto") and torch.cuda.is_available():
        return "16-mixed"
    if accelerator in ("mps", "gpu", "auto") and torch.backends.mps.is_available():
        return "16-mixed"
    return "bf16-mixed" if torch.backends.mkldnn.is_available() and _cpu_has_bf16() else "32-true"


def _cpu_has_bf16() -> bool:
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("arm_bf16"))
