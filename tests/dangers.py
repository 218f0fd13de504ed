"""What no source of ours may do, by its syntax tree: `dangers` names each with its line.

Names are followed through imports, so that `import pickle as p` and `from torch import load` hide nothing. What a
library does inside is not seen, nor a name that is put together while the program runs; this is against slips, not
against somebody who hides.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator

# Reading one of these runs what stands in it.
PICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle"}
# Named at all, called or not: what is bound to another name is called later.
NEVER = {
    **dict.fromkeys(("eval", "exec", "compile", "__import__", "builtins.eval", "builtins.exec"), "runs text"),
    **dict.fromkeys(("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"), "a shell"),
    **dict.fromkeys(("torch.load", "torch.hub.load", "torch.jit.load", "numpy.lib.format.read_array"), "unpickles"),
    **dict.fromkeys(("pandas.read_pickle", "sklearn.externals", "torch.package"), "unpickles"),
    **dict.fromkeys(("yaml.load", "yaml.unsafe_load", "yaml.full_load", "yaml.load_all"), "makes any object"),
    **dict.fromkeys(("tempfile.mktemp", "os.tempnam"), "a name that others can take"),
    **dict.fromkeys(("ssl._create_unverified_context", "ssl._create_default_https_context", "ssl.CERT_NONE"), "no TLS"),
    **dict.fromkeys(("streamlit.html", "streamlit.components.v1"), "markup on the page"),
    **dict.fromkeys(("shutil.unpack_archive",), "unpacks anywhere"),
    **dict.fromkeys(("xml.dom", "xml.sax", "xml.etree", "xmlrpc"), "expands entities"),
    **dict.fromkeys(("telnetlib", "ftplib", "smtplib"), "a protocol of nobody here"),
}
SWITCHED_ON = {"shell", "trust_remote_code", "unsafe_allow_html", "unsafe_allow_javascript", "allow_pickle"}
SWITCHED_OFF = {"verify", "weights_only", "check_hostname", "verify_ssl"}
BROKEN_HASHES = {"md5", "sha1"}
ASKS = {"requests.get", "requests.post", "requests.put", "requests.head", "requests.delete", "requests.request"}
WAITS_FOR_EVER = ASKS | {"urllib.request.urlopen", "http.client.HTTPConnection", "http.client.HTTPSConnection"}
EVERYWHERE = {"0.0.0.0", "::"}
UNPACKS = {"extractall"}
MODES = {"mkdir": "mode", "makedirs": "mode", "touch": "mode", "chmod": "mode", "fchmod": "mode"}


def dangers(source: str) -> list[str]:
    tree = ast.parse(source)
    looked = _Look(tree)
    return [f"{line}: {what}" for line, what in sorted(set(looked.found(tree)))]


class _Look:
    def __init__(self, tree: ast.AST) -> None:
        self._names = dict(_imported(tree))
        self._compared = {
            id(part) for node in ast.walk(tree) if isinstance(node, ast.Compare) for part in ast.walk(node)
        }

    def found(self, tree: ast.AST) -> Iterator[tuple[int, str]]:
        for node in ast.walk(tree):
            line = getattr(node, "lineno", 0)
            yield from ((line, what) for what in self._of(node))

    def _of(self, node: ast.AST) -> Iterator[str]:
        match node:
            case ast.Import() | ast.ImportFrom():
                yield from (_named(name) for _, name in _bound(node) if _named(name))
            case ast.Name() | ast.Attribute():
                if what := _named(self._full(node)):
                    yield what
            case ast.Call():
                yield from self._of_call(node)
            case ast.Dict(keys=keys, values=values):  # to be handed on as **how
                yield from _switches((str(key.value), value) for key, value in zip(keys, values, strict=True)
                                     if isinstance(key, ast.Constant))  # fmt: skip
            case ast.Assign(targets=[ast.Attribute(attr=name)], value=value):
                yield from _switches([(name, value)])
            case ast.ExceptHandler(type=None):
                yield "a bare except: takes Ctrl-C, too"
            case ast.Assert(test=test) if not _is_for_types(test):
                yield "assert: is gone with -O; raise, where it checks what comes in"
            case ast.Constant(value=str(text)) if text in EVERYWHERE and id(node) not in self._compared:
                yield f"{text}: listens to everybody"

    def _of_call(self, call: ast.Call) -> Iterator[str]:
        name, last = self._full(call.func), _last(call.func)
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        yield from _switches((str(key), value) for key, value in given.items())
        yield from self._by_its_name(name, call)
        if name == "numpy.load" and "allow_pickle" not in given:
            yield "numpy.load: say allow_pickle=False"
        if _hash(name, call) in BROKEN_HASHES and not _is_false(given.get("usedforsecurity")):
            yield f"{name}: a broken hash; say usedforsecurity=False where it is none of security"
        asks = name in WAITS_FOR_EVER or (_is_session(call.func) and last in {"get", "post", "put", "head", "request"})
        if asks and not {"timeout", None} & given.keys():  # None: **how
            yield f"{name or last}: say timeout="
        if last in UNPACKS:
            yield f"{last}: writes wherever an archive says"
        if last in {"bind", "create_server"} and _first_is_empty(call):
            yield f"{last}: listens to everybody"
        if _opens_to_others(call, name, last, given):
            yield f"{last}: a mode that lets others in"

    def _by_its_name(self, name: str, call: ast.Call) -> Iterator[str]:
        """What is asked for by a name that is written as a text."""
        texts = [argument.value if isinstance(argument, ast.Constant) else None for argument in call.args]
        if name == "getattr" and len(texts) > 1:
            yield from filter(None, [_named(f"{self._full(call.args[0])}.{texts[1]}")])
        if name == "importlib.import_module":
            unknown = f"{name}: of a name that is not known"
            yield from filter(None, [_named(str(texts[0])) if texts and texts[0] else unknown])

    def _full(self, node: ast.AST) -> str:
        """The dotted name that is meant, as far as imports tell; empty for what is none of a module."""
        if isinstance(node, ast.Attribute):
            before = self._full(node.value)
            return f"{before}.{node.attr}" if before else ""
        if isinstance(node, ast.Name):
            return self._names.get(node.id, node.id if hasattr(builtins, node.id) else "")
        return ""


def _imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _bound(node)


def _bound(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """(name here, what it is)."""
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            yield alias.asname or alias.name, f"{node.module or '.'}.{alias.name}"
        elif alias.asname:
            yield alias.asname, alias.name
        else:  # `import a.b` binds a, and all that is reached from there
            yield alias.name.partition(".")[0], alias.name.partition(".")[0]
            yield f"({alias.name})", alias.name


def _named(name: str) -> str:
    if name.partition(".")[0] in PICKLES:
        return f"{name}: unpickles"
    return next((f"{name}: {why}" for bad, why in NEVER.items() if name == bad or name.startswith(f"{bad}.")), "")


def _switches(given: Iterator[tuple[str, ast.AST]] | list[tuple[str, ast.AST]]) -> Iterator[str]:
    for name, value in given:
        if name in SWITCHED_ON and not _is_false(value):
            yield f"{name}: is to be False"
        if name in SWITCHED_OFF and _is_false(value):
            yield f"{name}: is not to be False"


def _is_false(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def _is_for_types(test: ast.AST) -> bool:
    """`assert x is not None` and `assert isinstance(…)` only tell the type checker what is known already."""
    if isinstance(test, ast.Call):
        return isinstance(test.func, ast.Name) and test.func.id == "isinstance"
    is_not_none = isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.IsNot)
    return is_not_none and isinstance(test.comparators[0], ast.Constant) and test.comparators[0].value is None


def _last(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _hash(name: str, call: ast.Call) -> str:
    module, _, function = name.rpartition(".")
    if module != "hashlib":
        return ""
    if function in {"new", "file_digest"}:
        at = 0 if function == "new" else 1
        return str(call.args[at].value).lower() if isinstance(call.args[at], ast.Constant) else ""
    return function


def _is_session(function: ast.AST) -> bool:
    return isinstance(function, ast.Attribute) and _last(function.value).strip("_") in {"session", "requests"}


def _first_is_empty(call: ast.Call) -> bool:
    address = call.args[0] if call.args else None
    host = address.elts[0] if isinstance(address, ast.Tuple) and address.elts else None
    return isinstance(host, ast.Constant) and host.value == ""


def _opens_to_others(call: ast.Call, name: str, last: str, given: dict[str | None, ast.expr]) -> bool:
    """Whether a mode that is written here has a bit for the group or for all."""
    mode: ast.AST | None = given.get("mode")
    if name == "os.open":
        mode = mode or (call.args[2] if len(call.args) > 2 else None)
        if mode is None:
            return any("O_CREAT" in ast.unparse(argument) for argument in call.args)
    elif last in {"chmod", "fchmod"} and call.args:
        mode = mode or call.args[-1]
    elif last not in {"mkdir", "makedirs", "touch"}:
        return False
    return isinstance(mode, ast.Constant) and isinstance(mode.value, int) and bool(mode.value & 0o077)
