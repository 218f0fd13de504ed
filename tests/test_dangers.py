"""No source of ours does what is dangerous, and the look at them sees what it is meant to see."""

from __future__ import annotations

from pathlib import Path

import pytest
from dangers import dangers

ROOT = Path(__file__).resolve().parents[1]
OURS = sorted(path for folder in ("rag", "app") for path in (ROOT / folder).rglob("*.py"))
AROUND = sorted(path for folder in ("tests", "data") for path in (ROOT / folder).rglob("*.py"))
RUNS_WHAT_IT_READS = ("unpickles", "runs text", "makes any object", "shell", "trust_remote_code", "unsafe_allow")

pytestmark = pytest.mark.fault(36)


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_dangerous(path: Path) -> None:
    assert dangers(path.read_text(encoding="utf-8")) == []


def test_what_is_around_the_program_runs_nothing_that_it_reads() -> None:
    """Tests may open a port to everybody, or make a file that others can write, to see what comes of it."""
    found = [
        f"{path.relative_to(ROOT)}:{said}" for path in AROUND for said in dangers(path.read_text(encoding="utf-8"))
    ]
    assert [said for said in found if any(word in said for word in RUNS_WHAT_IT_READS)] == []


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import pickle", "pickle: unpickles"),
        ("import pickle as p", "pickle: unpickles"),
        ("from pickle import loads as read", "pickle.loads: unpickles"),
        ("import cPickle", "unpickles"),
        ("import _pickle", "unpickles"),
        ("import dill", "unpickles"),
        ("import cloudpickle", "unpickles"),
        ("from joblib import load", "joblib.load: unpickles"),
        ("import shelve", "unpickles"),
        ("import marshal", "unpickles"),
        ("def f():\n    import pickle", "2: pickle: unpickles"),
        ("import importlib\nimportlib.import_module('pickle')", "pickle: unpickles"),
        ("from importlib import import_module as get\nget(name)", "of a name that is not known"),
        ("import pandas as pd\npd.read_pickle(f)", "unpickles"),
        ("eval(x)", "eval: runs text"),
        ("run = exec", "exec: runs text"),
        ("import builtins\nbuiltins.eval(x)", "builtins.eval: runs text"),
        ("exec(compile(x, '', 'exec'))", "compile: runs text"),
        ("__import__(name)", "__import__: runs text"),
        ("__import__('os').system('ls')", "__import__: runs text"),
        ("import subprocess\nsubprocess.run(c, shell=True)", "shell: is to be False"),
        ("import subprocess\nsubprocess.run(c, shell=is_shell)", "shell: is to be False"),
        ("how = {'shell': True}\nrun(c, **how)", "shell: is to be False"),
        ("import os\nos.system(c)", "os.system: a shell"),
        ("from os import popen as p\np(c)", "os.popen: a shell"),
        ("import os as o\no.popen(c)", "os.popen: a shell"),
        ("import subprocess\nsubprocess.getoutput(c)", "a shell"),
        ("import torch\ntorch.load(f)", "torch.load: unpickles"),
        ("import torch\ntorch.load(f, weights_only=True)", "torch.load: unpickles"),
        ("from torch import load\nload(f)", "torch.load: unpickles"),
        ("import torch as t\nread = t.load", "torch.load: unpickles"),
        ("import torch\ngetattr(torch, 'load')(f)", "torch.load: unpickles"),
        ("import torch.hub\ntorch.hub.load(r, m)", "torch.hub.load: unpickles"),
        ("import numpy as np\nnp.load(f)", "say allow_pickle=False"),
        ("import numpy as np\nnp.load(f, allow_pickle=True)", "allow_pickle: is to be False"),
        ("from numpy import load\nload(f)", "say allow_pickle=False"),
        ("Auto.from_pretrained(m, trust_remote_code=True)", "trust_remote_code: is to be False"),
        ("Auto.from_pretrained(m, trust_remote_code=trusted)", "trust_remote_code: is to be False"),
        ("how = {'trust_remote_code': True}", "trust_remote_code: is to be False"),
        ("options.trust_remote_code = True", "trust_remote_code: is to be False"),
        ("st.markdown(x, unsafe_allow_html=True)", "unsafe_allow_html: is to be False"),
        ("st.html(x, unsafe_allow_javascript=True)", "unsafe_allow_javascript: is to be False"),
        ("import streamlit as st\nst.html(x)", "streamlit.html: markup on the page"),
        ("import streamlit.components.v1 as c\nc.html(x)", "streamlit.components.v1.html: markup on the page"),
        ("from streamlit.components.v1 import html", "markup on the page"),
        ("import streamlit as st\nst.components.v1.iframe(x)", "markup on the page"),
        ("import yaml\nyaml.load(f)", "yaml.load: makes any object"),
        ("from yaml import unsafe_load", "makes any object"),
        ("import tempfile\ntempfile.mktemp()", "a name that others can take"),
        ("requests.get(u, timeout=3, verify=False)", "verify: is not to be False"),
        ("session.verify = False", "verify: is not to be False"),
        ("context.check_hostname = False", "check_hostname: is not to be False"),
        ("import ssl\nssl._create_unverified_context()", "no TLS"),
        ("import ssl\ncontext.verify_mode = ssl.CERT_NONE", "no TLS"),
        ("import hashlib\nhashlib.md5(b)", "hashlib.md5: a broken hash"),
        ("from hashlib import sha1 as digest\ndigest(b)", "hashlib.sha1: a broken hash"),
        ("import hashlib\nhashlib.new('MD5', b)", "a broken hash"),
        ("import hashlib\nhashlib.file_digest(f, 'sha1')", "a broken hash"),
        ("def f(x):\n    assert x > 0\n    return x", "2: assert: is gone with -O"),
        ("assert path.exists(), 'no such file'", "assert: is gone with -O"),
        ("try:\n    f()\nexcept:\n    pass", "3: a bare except"),
        ("import requests\nrequests.get(u)", "requests.get: say timeout="),
        ("from requests import post\npost(u)", "requests.post: say timeout="),
        ("self._session.get(u)", "get: say timeout="),
        ("import urllib.request\nurllib.request.urlopen(u)", "urllib.request.urlopen: say timeout="),
        ("from urllib.request import urlopen\nurlopen(u)", "urllib.request.urlopen: say timeout="),
        ("import http.client as h\nh.HTTPSConnection('x')", "http.client.HTTPSConnection: say timeout="),
        ("HOST = '0.0.0.0'", "0.0.0.0: listens to everybody"),
        ("def serve(host='0.0.0.0'): ...", "0.0.0.0: listens to everybody"),
        ("socket.create_server(('', 80))", "create_server: listens to everybody"),
        ("made.bind(('::', 80))", "::: listens to everybody"),
        ("tar.extractall(folder)", "writes wherever an archive says"),
        ("import shutil\nshutil.unpack_archive(f)", "unpacks anywhere"),
        ("import xml.etree.ElementTree as ET\nET.parse(f)", "expands entities"),
        ("from xml.sax import parse", "expands entities"),
        ("path.chmod(0o644)", "chmod: a mode that lets others in"),
        ("import os\nos.chmod(p, 0o777)", "chmod: a mode that lets others in"),
        ("path.mkdir(mode=0o755)", "mkdir: a mode that lets others in"),
        ("import os\nos.open(p, os.O_CREAT | os.O_WRONLY)", "open: a mode that lets others in"),
        ("import os\nos.open(p, os.O_CREAT, 0o666)", "open: a mode that lets others in"),
    ],
)
def test_what_is_dangerous_is_seen(source: str, says: str) -> None:
    found = dangers(source)
    assert any(says in said for said in found), found


@pytest.mark.parametrize(
    "source",
    [
        "import re\nre.compile('a')",
        "import torch\ntorch.compile(f)",
        "model.eval()",
        "def load(path): ...\nload(p)",
        "import json\njson.load(f)",
        "from safetensors.torch import load\nload(b)",
        "import yaml\nyaml.safe_load(f)",
        "import numpy as np\nnp.load(f, allow_pickle=False)",
        "import subprocess\nsubprocess.run(['ls'], shell=False, timeout=3)",
        "Auto.from_pretrained(m, trust_remote_code=False)",
        "import importlib.util\nimportlib.util.find_spec(name)",
        "import importlib\nimportlib.import_module('rag.types')",
        "import streamlit as st\nst.components.v2.component('x', js=j)",
        "import streamlit as st\nst.text(x)",
        "st.markdown(x, unsafe_allow_html=False)",
        "import tempfile\ntempfile.mkdtemp()",
        "session.verify = True",
        "import hashlib\nhashlib.sha256(b)",
        "import hashlib\nhashlib.sha1(b, usedforsecurity=False)",
        "import hashlib\nhashlib.file_digest(f, 'sha256')",
        "assert x is not None",
        "assert isinstance(x, str)",
        "try:\n    f()\nexcept ValueError:\n    pass",
        "import requests\nrequests.get(u, timeout=3)",
        "self._session.get(u, params=p, **how)",
        "values.get(name)",
        "if host in ('0.0.0.0', '::'): ...",
        "HOST = '127.0.0.1'",
        "socket.create_server(('127.0.0.1', 0))",
        "from lxml import etree",
        "path.chmod(0o600)",
        "path.mkdir(mode=0o700, parents=True)",
        "import os\nos.open(p, os.O_CREAT | os.O_WRONLY, 0o600)",
        "import os\nos.open(p, os.O_RDONLY)",
        "getattr(model, 'config', None)",
    ],
)
def test_what_is_not_is_let_be(source: str) -> None:
    assert dangers(source) == []
