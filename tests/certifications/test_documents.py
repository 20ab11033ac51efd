"""The few lines of the documents that verify evidence do so, with the service away."""

from __future__ import annotations

import asyncio
import re
import sys
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path

from tests.conftest import Api

DOCUMENT = Path(__file__).parents[2] / "docs" / "certifications.md"
QUESTION = {"source_id": "s", "accounts": ["ada@example.com", "alan@example.com"]}


async def run(folder: Path, *names: str) -> tuple[int, str, str]:
    (script,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    program = [sys.executable, "-I", "-c", script, *(str(folder / name) for name in names)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*program, stdout=pipe, stderr=pipe)
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_evidence_is_verified_offline_as_the_document_says(api: Api, tmp_path: Path) -> None:
    evidence = (await api.post("/v1/certifications/evidence", json=QUESTION)).text
    header, payload, signature = evidence.split(".")
    (tmp_path / "evidence.jws").write_text(f"{evidence}\n")
    said = urlsafe_b64decode(f"{payload}==").replace(b'"review"', b'"revoke"')
    altered = urlsafe_b64encode(said).decode().rstrip("=")
    (tmp_path / "altered.jws").write_text(f"{header}.{altered}.{signature}")
    (tmp_path / "jwks.json").write_text((await api.get("/.well-known/jwks.json")).text)
    status, out, err = await run(tmp_path, "evidence.jws", "jwks.json")
    assert (status, err) == (0, "")
    assert out.splitlines()[0].startswith("Issued by http://")
    assert out.splitlines()[1] == "ada@example.com review This source is mapped to no application."
    status, out, err = await run(tmp_path, "altered.jws", "jwks.json")
    assert (status, out) == (1, "")
    assert "BadSignatureError" in err
