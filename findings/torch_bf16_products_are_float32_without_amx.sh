#!/usr/bin/env bash
# torch 2.13.0 (oneDNN 3.12), torch.backends.mkldnn.matmul.fp32_precision = "bf16" on CPUs with AVX-512 BF16 but without AMX
# (Cooper Lake, Zen 4, and machines whose hypervisor hides AMX; ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16 makes one of those of
# any newer one).
#
# The setting lets float32 products round their factors to bfloat16. One would guess that it does so wherever torch reports
# the processor's bfloat16 instructions (torch.cpu.get_capabilities()["avx512_bf16"]), and that it is refused, or reads back
# as something else, where it does not.
#
# Seen: it is taken and reads back "bf16", and every product is that of float32, to the last bit; a product of bfloat16
# tensors on the same processor does use the instructions. A training "with bf16 products" is neither faster nor rounded, and
# a comparison of AUC with and without them compares a run with itself. Whether the setting acts is to be seen on a product.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy
ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16 ONEDNN_VERBOSE=1 "$folder/venv/bin/python" - >"$folder/out" <<'PYTHON'
import torch

print("torch", torch.__version__, "avx512_bf16:", torch.cpu.get_capabilities().get("avx512_bf16", False))
generator = torch.Generator().manual_seed(1)
x, weight = torch.randn(256, 320, generator=generator), torch.randn(96, 320, generator=generator)
rounded = x.bfloat16().double() @ weight.bfloat16().double().T
products = {}
for setting in ("ieee", "bf16"):
    torch.backends.mkldnn.matmul.fp32_precision = setting
    products[setting] = torch.nn.functional.linear(x, weight)
    away = (products[setting].double() - rounded).abs().max().item()
    print("setting", torch.backends.mkldnn.matmul.fp32_precision, "largest distance from a product of rounded factors", round(away, 4))
assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
assert torch.equal(products["ieee"], products["bf16"]), "the setting acts now"
assert (products["bf16"].double() - rounded).abs().max() > 0.01
PYTHON
grep -v "^onednn_verbose" "$folder/out"
grep -o "matmul,brg[^,]*\|attr-fpmath:bf16" "$folder/out" | sort | uniq -c
grep -q "attr-fpmath:bf16" "$folder/out" # oneDNN was told
