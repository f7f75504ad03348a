"""The house rules that no linter knows. Each takes one file and yields what is wrong, one line each.

Forbidden words are spelled in parts, so that the rules do not find themselves.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

from tests.house.tree import Source

FILE_LINES = 400
FUNCTION_LINES = 60

_LEFT_OPEN = re.compile(
    r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error"]) + r")\b"
)
_MACHINE = re.compile(
    "|".join(
        [
            "/wo" + "rk/",
            "/fa" + "rm/",
            "/r" + "oot/",
            "/opt/" + "(wheels|pypi)",
            "pypi" + r"\.org",
            "pythonhosted" + r"\.org",
            "registry" + r"\.npmjs",
            "deb" + r"\.debian",
        ]
    )
)
_SQL = re.compile(
    r"\s*(select\b.*\bfrom|insert\s+(or\s+\w+\s+)?into|replace\s+into|update\s+(or\s+\w+\s+)?[\w\"]+\s+set"
    r"|delete\s+from|with\s+(recursive\s+)?\w+(\s*\([^)]*\))?\s+as\s*\("
    r"|(create|drop|alter)\s+(temp\s+|unique\s+|virtual\s+)*(table|index|view|trigger))\b",
    re.IGNORECASE | re.DOTALL,
)
_SHARED_SQL = re.compile(r"^ *--: (\w+)$", re.MULTILINE)
_ASSERTS = re.compile(r"assert|raises|warns|expect|check|run_state_machine|fail")

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = Function | ast.ClassDef


def long_file(source: Source) -> Iterator[str]:
    lines = len(source.text.splitlines())
    if lines > FILE_LINES:
        yield f"{source.path}: {lines} lines, at most {FILE_LINES}"


def long_function(source: Source) -> Iterator[str]:
    for function in _functions(source.tree):
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        if lines > FUNCTION_LINES:
            yield f"{_place(source, function)}: {function.name} has {lines} lines, at most {FUNCTION_LINES}"


def undocumented(source: Source) -> Iterator[str]:
    if source.text.strip() and ast.get_docstring(source.tree) is None:
        yield f"{source.path}: the module has no docstring"
    for node in _public(source.tree):
        if ast.get_docstring(node) is None:
            yield f"{_place(source, node)}: {node.name} has no docstring"


def left_open(source: Source) -> Iterator[str]:
    for number, line in enumerate(source.text.splitlines(), 1):
        if found := _LEFT_OPEN.search(line):
            yield f"{source.path}:{number}: {found.group()}"


def bare_except(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield f"{_place(source, node)}: a bare except"


def sleeping(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and _sleeps(node):
            yield f"{_place(source, node)}: {ast.unparse(node)}: wait for a fact, or on a test's clock"


def machine_path(source: Source) -> Iterator[str]:
    for number, line in enumerate(source.text.splitlines(), 1):
        if found := _MACHINE.search(line):
            yield f"{source.path}:{number}: {found.group()}"


def sql_in_code(source: Source) -> Iterator[str]:
    passed_over = {id(node) for node in _docstrings_and_parts(source.tree)}
    for node in ast.walk(source.tree):
        if id(node) not in passed_over and (text := _literal(node)) and _SQL.match(text):
            yield f"{_place(source, node)}: SQL belongs in a .sql file: {text.strip()[:60]!r}"


def doubled_test(source: Source) -> Iterator[str]:
    scopes: list[ast.Module | ast.ClassDef] = [source.tree]
    scopes += [node for node in ast.walk(source.tree) if isinstance(node, ast.ClassDef)]
    for scope in scopes:
        names = Counter(node.name for node in scope.body if isinstance(node, Function))
        for name, times in names.items():
            if name.startswith("test") and times > 1:
                yield f"{source.path}: {name} stands {times} times, only the last one runs"


def asserts_nothing(source: Source) -> Iterator[str]:
    for function in _functions(source.tree):
        if function.name.startswith("test") and not any(map(_is_assertion, ast.walk(function))):
            yield f"{_place(source, function)}: {function.name} asserts nothing"


def sql_files(statements: list[Source], code: list[Source]) -> Iterator[str]:
    """Each statement file is named in the code, by stem or file name, and each file named is there.

    A shared part is named by the statements that it stands in.
    """
    literals = {_literal(node) for source in code for node in ast.walk(source.tree)}
    literals |= {name for source in statements for name in _SHARED_SQL.findall(source.text)}
    files = {PurePosixPath(source.path) for source in statements}
    for file in sorted(files):
        if not {file.stem, file.name, f"sql/{file.name}"} & literals:
            yield f"{file}: no code names it"
    names = {file.name for file in files}
    for literal in sorted(literals):
        if (
            literal.endswith(".sql")
            and "*" not in literal
            and PurePosixPath(literal).name not in names | {".sql"}
        ):
            yield f"{literal}: named in the code, but no such file"


def _place(source: Source, node: ast.AST) -> str:
    return f"{source.path}:{getattr(node, 'lineno', 1)}"


def _functions(tree: ast.Module) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def _public(scope: ast.Module | ast.ClassDef) -> Iterator[Documented]:
    for node in scope.body:
        if (
            not isinstance(node, Documented)
            or node.name.startswith(("_", "test_"))
            or _adds_to_documented(node)
        ):
            continue
        yield node
        if isinstance(node, ast.ClassDef):
            yield from _public(node)


def _adds_to_documented(node: Documented) -> bool:
    names = [ast.unparse(decorator).split("(")[0] for decorator in node.decorator_list]
    return any(name.split(".")[-1] in {"overload", "override", "setter", "deleter"} for name in names)


def _sleeps(call: ast.Call) -> bool:
    match call.func:
        case ast.Name(id="sleep"):
            pass
        case ast.Attribute(attr="sleep", value=owner) if "clock" not in ast.unparse(owner).lower():
            pass
        case _:
            return False
    return ast.unparse(call).split("sleep", 1)[1] != "(0)"


def _docstrings_and_parts(tree: ast.Module) -> Iterator[ast.AST]:
    """Strings that stand as statements of their own, and the pieces of f-strings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield from node.values


def _literal(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in parts)
        case _:
            return ""


def _is_assertion(node: ast.AST) -> bool:
    return isinstance(node, ast.Assert) or (
        isinstance(node, ast.Call) and _ASSERTS.search(ast.unparse(node.func)) is not None
    )
