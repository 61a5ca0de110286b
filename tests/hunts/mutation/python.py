"""Mutants of a Python module, made from its syntax tree; only what stands in functions is changed.

What is logged is left alone, and so are constants of a module: they set a pace or a batch.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.hunts.mutation.edit import Edit

_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.Is: "is not",
    ast.IsNot: "is",
}
_ARITHMETIC: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "//"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "*"),
}
_TWINS = {"min": "max", "max": "min"}
_SIDES = {"bid": "ask", "ask": "bid"}


class _Maker:
    """Walks a module and gathers its edits."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.found: list[Edit] = []
        self._lines = [0]
        for line in text.split("\n"):
            self._lines.append(self._lines[-1] + len(line) + 1)

    def offset(self, line: int, column: int) -> int:
        """Where the column (in bytes) of a line stands in the text."""
        start = self._lines[line - 1]
        rest = self.text[start : self._lines[line] - 1]
        return start + len(rest.encode()[:column].decode())

    def start(self, node: ast.expr | ast.stmt) -> int:
        """Where a node begins."""
        return self.offset(node.lineno, node.col_offset)

    def end(self, node: ast.expr | ast.stmt) -> int:
        """Where a node ends."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.offset(node.end_lineno, node.end_col_offset)

    def add(self, start: int, end: int, after: str, kind: str) -> None:
        """One more edit."""
        self.found.append(Edit(start, end, after, kind))

    def replace(self, node: ast.expr | ast.stmt, after: str, kind: str) -> None:
        """An edit that puts other text in a node's place."""
        self.add(self.start(node), self.end(node), after, kind)

    def between(self, left: ast.expr, right: ast.expr, was: str, after: str, kind: str) -> None:
        """An edit of the operator between two operands."""
        start, end = self.end(left), self.start(right)
        match = re.search(was, self.text[start:end])
        if match is not None:
            self.add(start + match.start(), start + match.end(), after, kind)

    def statement(self, node: ast.stmt) -> None:
        """Edits of one statement, and of the expressions in it."""
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            if _is_log(node.value):
                return
            self.replace(node, "pass", "statement dropped")
        elif isinstance(node, ast.AugAssign):
            self.replace(node, "pass", "statement dropped")
            sign = _ARITHMETIC.get(type(node.op))
            if sign:
                was = re.escape(sign[0]) + "="
                self.between(node.target, node.value, was, sign[1] + "=", "arithmetic")
        elif isinstance(node, ast.Assign) and not isinstance(node.targets[0], ast.Name):
            self.replace(node, "pass", "statement dropped")
        if isinstance(node, ast.If | ast.While):
            self.replace(node.test, "False", "check dropped")
            if isinstance(node, ast.If):
                self.replace(node.test, "True", "check dropped")
        for child in ast.iter_child_nodes(node):
            self.visit(child)

    def visit(self, node: ast.AST) -> None:
        """Edits of a node and of all that is in it."""
        if isinstance(node, ast.arguments):
            return
        if isinstance(node, ast.FunctionDef):
            for inner in node.body:
                self.visit(inner)
            return
        if isinstance(node, ast.stmt):
            self.statement(node)
            return
        if isinstance(node, ast.expr):
            self.expression(node)
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.stmt):
                self.visit(child)

    def expression(self, node: ast.expr) -> None:
        """Edits of one expression."""
        if isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
            for left, operator, right in zip(operands, node.ops, operands[1:], strict=False):
                after = _COMPARISONS[type(operator)]
                self.between(left, right, r"[<>=!]=?|not in|in|is not|is", after, "comparison")
        elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            was, after = _ARITHMETIC[type(node.op)]
            self.between(node.left, node.right, re.escape(was), after, "arithmetic")
        elif isinstance(node, ast.BoolOp):
            was, after = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            for left, right in zip(node.values, node.values[1:], strict=False):
                self.between(left, right, rf"\b{was}\b", after, "and/or")
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            self.add(self.start(node), self.start(node.operand), "", "not")
        elif isinstance(node, ast.IfExp):
            self.replace(node.test, "False", "check dropped")
            self.replace(node.test, "True", "check dropped")
        elif isinstance(node, ast.Constant):
            self.constant(node)
        elif isinstance(node, ast.Name) and node.id in _TWINS:
            self.replace(node, _TWINS[node.id], "twin")
        elif isinstance(node, ast.Attribute):
            side, _, rest = node.attr.partition("_")
            if side in _SIDES:
                end = self.end(node)
                self.add(end - len(node.attr), end, f"{_SIDES[side]}_{rest}", "side")

    def constant(self, node: ast.Constant) -> None:
        """Edits of a number or a truth value."""
        if isinstance(node.value, bool):
            self.replace(node, str(not node.value), "twin")
        elif isinstance(node.value, int):
            self.replace(node, str(node.value + 1), "number")
            if node.value > 0:
                self.replace(node, str(node.value - 1), "number")


def _is_log(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and "log" in ast.unparse(call.func.value).split(".")


def _functions(node: ast.AST) -> Iterator[ast.FunctionDef]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef):
            yield child
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child)


def edits(text: str) -> list[Edit]:
    """All mutants of a module, in the order of their places; each text once."""
    maker = _Maker(text)
    for function in _functions(ast.parse(text)):
        maker.visit(function)
    unique = {(one.start, one.end, one.after): one for one in maker.found}
    return [unique[key] for key in sorted(unique)]
