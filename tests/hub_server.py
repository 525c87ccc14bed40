"""A small Hugging Face Hub on this machine, which keeps repositories in memory."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

_FILE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
_REPO = re.compile(r"/api/models/([^/]+/[^/?]+)")
_API = re.compile(r"/api/models/([^/]+/[^/]+)/(preupload|commit|tree|revision)/([^/?]+)")


@dataclass
class Hub:
    """What the Hub has: the files of each commit, and the commits that branches and tags name."""

    url: str = ""
    token: str = "hf_secret"
    commits: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    names: dict[str, dict[str, str]] = field(default_factory=dict)
    private: dict[str, bool] = field(default_factory=dict)
    broken: int | None = None  # the status with which everything is answered
    asked: list[str] = field(default_factory=list)

    def commit(self, repo: str, files: dict[str, bytes], branch: str = "main") -> str:
        """Adds files to a branch, and returns the new commit."""
        refs, commits = self.names.setdefault(repo, {}), self.commits.setdefault(repo, {})
        content = {**commits.get(refs.get(branch, ""), {}), **files}
        digest = hashlib.sha1(repr((len(commits), sorted(content.items()))).encode()).hexdigest()
        commits[digest] = content
        refs[branch] = digest
        return digest

    def find(self, repo: str, revision: str) -> str | None:
        """Returns the commit that a branch, a tag or a hash names."""
        known = revision if revision in self.commits[repo] else None
        return self.names[repo].get(revision, known)

    def files(self, repo: str, revision: str = "main") -> dict[str, bytes]:
        return self.commits[repo][self.find(repo, revision) or ""]


class Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.hub.asked.append(f"{self.command} {self.path}")
        if self.hub.broken:
            self._send(self.hub.broken, {})
            return
        file, api = _FILE.match(self.path), _API.match(self.path)
        found = file or api or _REPO.fullmatch(self.path)
        if not found or found[1] not in self.hub.commits:
            self._send(404, {}, {"X-Error-Code": "RepoNotFound"})
            return
        commit = self.hub.find(found[1], file[2] if file else api[3] if api else "main")
        if commit is None:
            self._send(404, {}, {"X-Error-Code": "RevisionNotFound"})
        elif file:
            self._file(commit, self.hub.commits[found[1]][commit].get(file[3]))
        else:
            names = self.hub.commits[found[1]][commit]
            entries = [
                {"type": "file", "path": n, "size": len(b), "oid": "0"} for n, b in names.items()
            ]
            about = {
                "id": found[1],
                "sha": commit,
                "private": self.hub.private.get(found[1], False),
            }
            self._send(200, entries if api and api[2] == "tree" else about)

    def do_POST(self) -> None:
        hub, body = self.hub, self.rfile.read(int(self.headers["Content-Length"]))
        hub.asked.append(f"POST {self.path}")
        if self.headers.get("Authorization") != f"Bearer {hub.token}":
            self._send(401, {"error": "Invalid username or password."})
            return
        if self.path == "/api/repos/create":
            self._create(json.loads(body))
            return
        if self.path == "/api/validate-yaml":
            self._send(200, {"errors": [], "warnings": []})
            return
        found = _API.match(self.path)
        assert found, self.path
        if found[2] == "preupload":
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            self._send(200, {"files": files})
            return
        lines = [json.loads(line) for line in body.splitlines()]
        added = {
            line["value"]["path"]: base64.b64decode(line["value"]["content"])
            for line in lines
            if line["key"] == "file"
        }
        oid = hub.commit(found[1], added, found[3])
        self._send(200, {"commitUrl": f"{hub.url}/{found[1]}/commit/{oid}", "commitOid": oid})

    def _create(self, asked: dict[str, Any]) -> None:
        repo = f"{asked.get('organization') or 'somebody'}/{asked['name']}"
        url = {"url": f"{self.hub.url}/{repo}"}
        if repo in self.hub.commits:
            self._send(409, url)
            return
        private = asked.get("private") or asked.get("visibility") == "private"
        self.hub.private[repo] = bool(private)
        self.hub.commit(repo, {".gitattributes": b""})
        self._send(200, url)

    def _file(self, commit: str, content: bytes | None) -> None:
        headers = {"X-Repo-Commit": commit}
        if content is None:
            self._send(404, {}, {**headers, "X-Error-Code": "EntryNotFound"})
        else:
            self._send(200, content, {**headers, "ETag": f'"{hashlib.sha1(content).hexdigest()}"'})

    def _send(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def running() -> Iterator[Hub]:
    """Runs a Hub without repositories."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("_Handler", (Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A Hub that is asked in place of the real one, an empty cache, and nobody who is logged in."""
    constants = pytest.importorskip("huggingface_hub.constants")
    with running() as made:
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, made.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "ENDPOINT", made.url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield made
