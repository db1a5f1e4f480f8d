"""The real `transformers serve` with a tiny random model: it drops log-probabilities and schemas without a word."""

import importlib.util
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from overproof.progress import Silent

NEEDED = ("fastapi", "uvicorn", "openai")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The address of a server, and the name of its model."""
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        pytest.skip(f"transformers serve needs {', '.join(missing)}: pip install 'transformers[serving]'")
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("served")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = {"<s>": 0, "</s>": 1, **{each: number + 2 for number, each in enumerate(letters)}}
    tokenizer = Tokenizer(models.BPE(vocab=words, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="</s>")
    fast.chat_template = "{% for each in messages %}{{ each['content'] }}{% endfor %}"
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=len(words), max_position_embeddings=512, bos_token_id=0, eos_token_id=1, **sizes)
    LlamaForCausalLM(config).save_pretrained(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", "--device", "cpu", "--host", "127.0.0.1"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*command, "--port", str(port), str(folder)], stdout=log, stderr=log)
    try:
        for _ in range(120):
            time.sleep(0.5)
            assert process.poll() is None, (folder / "log").read_text()
            try:
                urllib.request.urlopen(f"{place}/health", timeout=2).close()
            except OSError:
                continue
            break
        yield f"{place}/v1", str(folder)
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.slow
def test_a_real_server_is_asked_and_what_it_drops_is_said(served, job):
    url, model = served
    said = {"url": url, "model": model, "max_answer_tokens": 6, "timeout_seconds": 120.0}
    _, told, summary = job(3, logprobs=True, **said).run(Silent())
    assert summary["num_left"] == 0
    assert list(summary["versions"]) == [f"{model}@main"]
    assert summary["prompt_tokens"] > 0
    assert summary["requests_with_estimated_tokens"] == 0
    assert any("the server returned no log-probabilities" in each for each in summary["remarks"])
    # A random model names no class, and nothing that it says becomes one.
    assert told.num_answered == 0
    words = next(words for _, words in told.silent.values() if words.strip())
    asked, told, summary = job(3, classes=(words.strip(), "other"), texts=["a", "b", "a"], **said).run(Silent())
    assert asked.used_now.calls == 2
    assert summary["num_left"] == 0
