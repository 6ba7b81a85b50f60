"""Rules of the house that a linter does not know, checked in the source."""

import ast
import re
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = (ROOT / "core" / "synaptoroute_core", ROOT / "synaptoroute_integrations")
SHIPPED = [path for package in PACKAGES for path in sorted(package.rglob("*.py"))]
ENGINE = [path for path in SHIPPED if path.is_relative_to(PACKAGES[0])]
ENGINE_FOLDER = "core/synaptoroute_core/"
OURS = [
    *SHIPPED,
    *(path for folder in ("tests", "scripts", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))),
]

UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__", "yaml.load", "yaml.unsafe_load", "yaml.full_load"}
EXCEPTIONS = {
    ("storage/migrations.py", "connection.execute(f'PRAGMA user_version = {number:d}')"): "takes no bound parameter",
    ("storage/sqlite.py", "self._connection.execute(f'BEGIN {mode}')"): "the two modes are words of the same file",
    ("batching.py", "contextlib.suppress(BaseException)"): "by then the error has reached the callers of the batch",
}
"""What may break a rule, and why."""

Rule = Callable[[ast.AST], bool]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def places(paths: Iterable[Path], rule: Rule) -> list[str]:
    """Where the rule is broken without leave, as file:line."""
    return [
        f"{name_of(path)}:{getattr(node, 'lineno', 1)}"
        for path in paths
        for node in ast.walk(tree(path))
        if rule(node) and (name_of(path).removeprefix(ENGINE_FOLDER), ast.unparse(node)) not in EXCEPTIONS
    ]


def called(node: ast.AST) -> str:
    """The dotted name of what is called; nothing if it is no call."""
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def imports(node: ast.AST, modules: set[str]) -> bool:
    """Whether it is an import of one of the modules or of something in them."""
    if isinstance(node, ast.ImportFrom):
        return not node.level and (node.module or "").split(".")[0] in modules
    return isinstance(node, ast.Import) and any(alias.name.split(".")[0] in modules for alias in node.names)


def has_keyword(node: ast.AST, name: str, accepted: object) -> bool:
    """Whether it is a call with this keyword and another value than the accepted one."""
    return isinstance(node, ast.Call) and any(
        keyword.arg == name and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is accepted)
        for keyword in node.keywords
    )


# --- safety ---------------------------------------------------------------------------------------


def test_no_module_can_run_what_it_reads():
    """Unpickling and its kin run code that an attacker wrote into a file."""
    assert places(SHIPPED, lambda node: imports(node, UNSAFE_MODULES)) == []
    assert places(SHIPPED, lambda node: called(node) in UNSAFE_CALLS) == []


def test_numpy_is_never_allowed_to_unpickle():
    assert places(SHIPPED, lambda node: has_keyword(node, "allow_pickle", accepted=False)) == []


def test_no_subprocess_goes_through_a_shell():
    assert places(SHIPPED, lambda node: has_keyword(node, "shell", accepted=False)) == []


def is_built(argument: ast.expr) -> bool:
    """Whether a string is put together when the program runs, from anything but constants."""
    if isinstance(argument, ast.JoinedStr):
        return any(isinstance(part, ast.FormattedValue) for part in argument.values)
    if isinstance(argument, ast.BinOp):
        return not (isinstance(argument.left, ast.Constant) and isinstance(argument.right, ast.Constant))
    # "...".format(...), "".join(...); but psycopg's own composition takes literals only, which mypy checks.
    return isinstance(argument, ast.Call) and not ast.unparse(argument).startswith(("sql.SQL(", "self._named("))


def is_built_sql(node: ast.AST) -> bool:
    executes = called(node).rpartition(".")[2] in {"execute", "executemany", "executescript"}
    return executes and bool(node.args) and is_built(node.args[0])


def test_no_sql_is_put_together_from_values():
    assert places(SHIPPED, is_built_sql) == []


# --- errors and output ----------------------------------------------------------------------------


def is_broad(kinds: Iterable[ast.expr | None]) -> bool:
    named = {name for kind in kinds if kind is not None for name in re.findall(r"\w+", ast.unparse(kind))}
    return None in kinds or bool(named & {"Exception", "BaseException"})


def does_nothing(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Pass | ast.Continue) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def swallows(node: ast.AST) -> bool:
    if isinstance(node, ast.ExceptHandler):
        return is_broad([node.type]) and all(map(does_nothing, node.body))
    return called(node).endswith("suppress") and is_broad(node.args)


def test_no_exception_is_swallowed():
    """A write that failed in the background elsewhere was printed and lost."""
    assert places(OURS, swallows) == []


def test_only_the_command_line_prints():
    library = [path for path in SHIPPED if not name_of(path).startswith("synaptoroute_integrations/cli/")]
    assert places(library, lambda node: called(node) in {"print", "pprint", "sys.stdout.write"}) == []


def test_a_library_does_not_set_up_logging():
    """Handlers and levels belong to the program that uses it; the service is a program."""
    setting_up = {"basicConfig", "addHandler", "setLevel", "dictConfig"}
    library = [path for path in SHIPPED if name_of(path) != "synaptoroute_integrations/server/logs.py"]
    assert places(library, lambda node: called(node).rpartition(".")[2] in setting_up) == []


def test_the_engine_does_not_read_the_environment():
    """What a router does is decided by its arguments."""
    reading = {"os.environ", "os.getenv", "os.putenv", "environ", "getenv"}
    # One line writes to it: ONNX Runtime would otherwise send usage data from the moment it is imported.
    line = "os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')"
    (writing,) = places(ENGINE, lambda node: isinstance(node, ast.Call) and ast.unparse(node) == line)
    assert places(ENGINE, lambda node: isinstance(node, ast.expr) and ast.unparse(node) in reading) == [writing]


def test_no_part_of_the_engine_imports_the_whole_of_it():
    """That makes a circle, and the order of imports begins to matter."""
    parts = [path for path in ENGINE if path.parent != PACKAGES[0] or path.name != "__init__.py"]
    whole = {"synaptoroute_core"}
    assert places(parts, lambda node: isinstance(node, ast.ImportFrom) and node.module in whole) == []
    assert places(parts, lambda node: isinstance(node, ast.Import) and imports(node, whole)) == []


# --- form -----------------------------------------------------------------------------------------


def test_every_module_says_what_it_is():
    assert [name_of(path) for path in OURS if not ast.get_docstring(tree(path))] == []


def test_no_file_is_longer_than_four_hundred_lines():
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in OURS}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_a_package_says_that_it_is_typed(package):
    assert (package / "py.typed").is_file()


def test_the_folder_of_the_engine_is_no_package():
    """Otherwise ``import core`` would work by accident, and not everywhere."""
    assert not (ROOT / "core" / "__init__.py").exists()


def test_the_newest_entry_of_the_changelog_is_the_version_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    entries = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}$", changelog, re.MULTILINE)
    assert entries[0] == project["version"]


# --- the rules themselves -------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "source"), EXCEPTIONS)
def test_every_exception_is_still_there(name, source):
    assert source in {ast.unparse(node) for node in ast.walk(tree(PACKAGES[0] / name)) if isinstance(node, ast.Call)}


def breaks(rule: Rule, source: str) -> bool:
    return any(rule(node) for node in ast.walk(ast.parse(source)))


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("'SELECT ?', (1,)", False),
        ("'SELECT ' 'name'", False),
        ("'SELECT ' + 'name'", False),
        ("f'SELECT 1'", False),
        ("f'SELECT {name}'", True),
        ("'SELECT ' + name", True),
        ("'SELECT %s' % name", True),
        ("'SELECT {}'.format(name)", True),
        ("' '.join(parts)", True),
    ],
)
def test_a_statement_put_together_is_recognised(statement, expected):
    assert breaks(is_built_sql, f"connection.execute({statement})") is expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("try: x\nexcept: pass", True),
        ("try: x\nexcept Exception: pass", True),
        ("try: x\nexcept (ValueError, Exception): ...", True),
        ("try: x\nexcept BaseException as error: 'ignored'", True),
        ("with suppress(Exception): x", True),
        ("with contextlib.suppress(OSError, Exception): x", True),
        ("try: x\nexcept ValueError: pass", False),
        ("try: x\nexcept Exception: raise", False),
        ("try: x\nexcept Exception: log()", False),
        ("with suppress(OSError): x", False),
    ],
)
def test_a_swallowed_exception_is_recognised(source, expected):
    assert breaks(swallows, source) is expected


@pytest.mark.parametrize("source", ["import pickle", "from pickle import loads", "import joblib.externals as j"])
def test_an_unsafe_import_is_recognised(source):
    assert breaks(lambda node: imports(node, UNSAFE_MODULES), source)
