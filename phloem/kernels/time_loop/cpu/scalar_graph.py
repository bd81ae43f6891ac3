"""Straight-line programs of scalars, read from jaxprs: the form in which a day of a model is optimised and printed.

A `Graph` holds operations once (equal operations are one node), folds what is constant, and knows of every node which
kinds of input it depends on, so that a printer can lift out of the day loop what does not change from day to day.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jax.extend import core

from phloem.errors import InputError

ALIASES = {"add_any": "add", "and": "and", "or": "or", "not": "not", "xor": "ne"}
UNARY = ("exp", "log", "sqrt", "abs", "sin", "cos", "tan", "tanh", "log1p", "expm1", "floor", "ceil", "sign", "cbrt",
         "asin", "acos", "atan", "sinh", "cosh", "erf")  # fmt: skip
BINARY = ("add", "sub", "mul", "max", "min", "pow", "atan2")
COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne")
LOGIC = ("and", "or", "not")
OTHERS = (
    "div",
    "integer_pow",
    "neg",
    "select_n",
    "square",
    "one_minus_square",
    "rsqrt",
    "exp2",
    "logistic",
    "clamp",
    "convert_element_type",
)
TRANSPARENT = (
    "reduce_sum",
    "copy",
    "copy_p",
    "reshard",
    "stop_gradient",
    "reshape",
    "squeeze",
    "broadcast_in_dim",
    "optimization_barrier",
)
GAUSSIAN = "exp_neg_sq"
"""Name of the call in which jax 0.12 has exp(-x^2), of erf's derivative: inside it cuts numbers bit by bit."""

NESTED = ("jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "remat", "checkpoint")


class UnprintableError(InputError):
    """A model text holds an operation that the generated folds cannot carry out."""


@dataclass(frozen=True)
class Node:
    """One scalar.

    Attributes:
        op: the operation; `input` and `literal` have no arguments.
        args: numbers of the nodes it reads.
        value: the number, of a literal.
        kind: kind of an input (`state`, `constant`, ...).
        index: number of an input within its kind.
        depends: kinds of input that it depends on.
        truth: whether it is true or false instead of a number.
    """

    op: str
    args: tuple[int, ...] = ()
    value: float = 0.0
    kind: str = ""
    index: int = 0
    depends: frozenset[str] = frozenset()
    truth: bool = False


class Graph:
    """Nodes in the order of their dependence; a node is named by its number.

    Args:
        dtype: float32 or float64: the type in which constants are folded.
    """

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        self.nodes: list[Node] = []
        self._known: dict[tuple[Any, ...], int] = {}

    def _add(self, node: Node) -> int:
        key = (node.op, node.args, repr(node.value), node.kind, node.index)
        if key not in self._known:
            self._known[key] = len(self.nodes)
            self.nodes.append(node)
        return self._known[key]

    def input(self, kind: str, index: int) -> int:
        """Return the node of one input."""
        return self._add(Node("input", kind=kind, index=index, depends=frozenset((kind,))))

    def inputs(self, kind: str, count: int) -> list[int]:
        """Return the nodes of all inputs of a kind."""
        return [self.input(kind, index) for index in range(count)]

    def literal(self, value: Any) -> int:
        """Return the node of a number, rounded to the graph's type, or of true or false."""
        if isinstance(value, (bool, np.bool_)):
            return self._add(Node("literal", value=float(value), truth=True))
        return self._add(Node("literal", value=float(self.dtype.type(value)) + 0.0))  # no -0.0

    def number(self, node: int) -> float | None:
        """Return the value of a literal, else None."""
        entry = self.nodes[node]
        return entry.value if entry.op == "literal" else None

    def apply(self, op: str, *args: int) -> int:
        """Return the node of an operation, simplified."""
        simpler = self._simplify(op, args)
        if simpler is not None:
            return simpler
        if op in ("add", "mul", "and", "or", "eq", "ne"):
            args = tuple(sorted(args))
        depends = frozenset().union(*(self.nodes[a].depends for a in args))
        truth = op in COMPARISONS or op in LOGIC or (op == "select" and self.nodes[args[1]].truth)
        return self._add(Node(op, args, depends=depends, truth=truth))

    def _simplify(self, op: str, args: tuple[int, ...]) -> int | None:
        values = [self.number(a) for a in args]
        if op == "select":
            return self._simplify_select(args, values)
        if op == "fma":
            return self._simplify_fma(args, values)
        if all(v is not None for v in values):
            return self._fold(op, [v for v in values if v is not None])
        if op == "add" and 0.0 in values:
            return args[1 - values.index(0.0)]
        if op == "sub":
            if values[1] == 0:
                return args[0]
            if values[0] == 0:
                return self.apply("neg", args[1])
        if op == "mul":
            for first, second in ((0, 1), (1, 0)):
                if values[first] == 0:
                    return self.literal(0.0)
                if values[first] == 1:
                    return args[second]
                if values[first] == -1:
                    return self.apply("neg", args[second])
        if op in ("neg", "not", "reciprocal") and self.nodes[args[0]].op == op:
            return self.nodes[args[0]].args[0]
        return self._simplify_signs(op, args)

    def _simplify_signs(self, op: str, args: tuple[int, ...]) -> int | None:
        negated = [self.nodes[a].args[0] if self.nodes[a].op == "neg" else None for a in args]
        if op == "add":
            for first, second in ((0, 1), (1, 0)):
                bare = negated[first]
                if bare is not None:
                    return self.apply("sub", args[second], bare)
        if op == "sub" and negated[1] is not None:
            return self.apply("add", args[0], negated[1])
        if op == "mul" and any(n is not None for n in negated):
            product = self.apply("mul", *(a if n is None else n for a, n in zip(args, negated, strict=True)))
            return product if all(n is not None for n in negated) else self.apply("neg", product)
        return None

    def _simplify_fma(self, args: tuple[int, ...], values: list[float | None]) -> int | None:
        x, y, z = args
        if 0.0 in values[:2]:
            return z
        if values[2] == 0:
            return self.apply("mul", x, y)
        for first, second in ((0, 1), (1, 0)):
            if values[first] in (1, -1):
                return self.apply("add" if values[first] == 1 else "sub", z, args[second])
        return None

    def _simplify_select(self, args: tuple[int, ...], values: list[float | None]) -> int | None:
        condition, yes, no = args
        if values[0] is not None:
            return yes if values[0] else no
        if yes == no:
            return yes
        asked = self.nodes[condition]
        if asked.op == "eq" and {yes, no} in (set(asked.args), self._difference(asked.args)):
            return no
        if asked.op == "not":
            return self.apply("select", self.nodes[condition].args[0], no, yes)
        return None

    def _difference(self, args: tuple[int, ...]) -> set[int] | None:
        """Return a and b where the arguments are a - b and 0."""
        for first, second in (args, args[::-1]):
            if self.number(first) == 0 and self.nodes[second].op == "sub":
                return set(self.nodes[second].args)
        return None

    def _fold(self, op: str, values: list[float]) -> int | None:
        kind = self.dtype.type
        a = [kind(v) for v in values]
        with np.errstate(all="ignore"):
            if op in ("add", "sub", "mul", "max", "min"):
                name = {"add": "add", "sub": "subtract", "mul": "multiply", "max": "maximum", "min": "minimum"}[op]
                return self.literal(getattr(np, name)(*a))
            if op == "neg":
                return self.literal(-a[0])
            if op == "reciprocal":
                return self.literal(kind(1) / a[0])
            if op in COMPARISONS:
                name = {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "eq": "equal",
                        "ne": "not_equal"}[op]  # fmt: skip
                return self.literal(bool(getattr(np, name)(*a)))
            if op in ("exp", "log", "sqrt"):
                return self.literal(getattr(np, op)(a[0]))
        return None

    def power(self, x: int, exponent: int) -> int:
        """Return x to a whole power, by squaring."""
        if exponent < 0:
            return self.power(self.apply("reciprocal", x), -exponent)
        result, square = self.literal(1.0), x
        while exponent:
            if exponent & 1:
                result = self.apply("mul", result, square)
            exponent >>= 1
            square = self.apply("mul", square, square) if exponent else square
        return result

    def read(self, closed: core.ClosedJaxpr, inputs: Sequence[int], name: str = "the model") -> list[int]:
        """Add a jaxpr of scalars and return the nodes of its outputs.

        Args:
            closed: the jaxpr; all its values are scalars.
            inputs: nodes of its inputs.
            name: name of the model, for the error.

        Raises:
            UnprintableError: it holds an operation that is not known here.
        """
        return self._read(closed.jaxpr, closed.consts, inputs, name)

    def _read(self, jaxpr: Any, consts: Sequence[Any], inputs: Sequence[int], name: str) -> list[int]:
        env: dict[Any, int] = {}

        def node(v: Any) -> int:
            return self.literal(v.val) if isinstance(v, core.Literal) else env[v]

        for v, c in zip(jaxpr.constvars, consts, strict=True):
            if np.ndim(c):
                raise UnprintableError(f"{name}: the model text holds an array of shape {np.shape(c)}, not a scalar")
            env[v] = self.literal(np.asarray(c).item())
        env.update(zip(jaxpr.invars, inputs, strict=True))
        for equation in jaxpr.eqns:
            args = [node(v) for v in equation.invars]
            inner = _inner(equation)
            if inner and inner[0].debug_info.func_name == GAUSSIAN:
                nodes = [self.apply("exp", self.apply("neg", self.apply("mul", *args, *args)))]
            else:
                nodes = self._read(*inner, args, name) if inner else [self._operation(equation, args, name)]
            env.update(zip(equation.outvars, nodes, strict=True))
        return [node(v) for v in jaxpr.outvars]

    def _operation(self, equation: Any, args: list[int], name: str) -> int:
        op = ALIASES.get(equation.primitive.name, equation.primitive.name)
        if any(v.aval.shape not in ((), (1,)) for v in equation.outvars):
            raise UnprintableError(f"{name}: operation {op!r} makes an array; a model text holds scalars only")
        if op in UNARY or op in BINARY or op in COMPARISONS or op in LOGIC or op == "neg":
            return self.apply(op, *args)
        if op == "div":
            return self.apply("mul", args[0], self.apply("reciprocal", args[1]))
        if op == "select_n" and len(args) == 3:
            return self.apply("select", args[0], args[2], args[1])
        if op == "integer_pow":
            return self.power(args[0], equation.params["y"])
        if op == "square":
            return self.apply("mul", args[0], args[0])
        if op == "one_minus_square":  # of tanh's derivative from jax 0.12 on, as XLA computes it
            one = self.literal(1.0)
            return self.apply("mul", self.apply("add", one, args[0]), self.apply("sub", one, args[0]))
        if op == "rsqrt":
            return self.apply("reciprocal", self.apply("sqrt", args[0]))
        if op == "exp2":
            return self.apply("exp", self.apply("mul", args[0], self.literal(math.log(2))))
        if op == "logistic":
            unit = self.literal(1.0)
            return self.apply("reciprocal", self.apply("add", unit, self.apply("exp", self.apply("neg", args[0]))))
        if op == "clamp":
            return self.apply("min", self.apply("max", args[1], args[0]), args[2])
        if op == "convert_element_type":
            return self._converted(args[0], np.dtype(equation.params["new_dtype"]), name)
        if op in TRANSPARENT:
            return args[0]
        known = sorted({*UNARY, *BINARY, *COMPARISONS, *LOGIC, *OTHERS})
        raise UnprintableError(f"{name}: operation {op!r} has no scalar form here; known: {', '.join(known)}")

    def substitute(self, outputs: Sequence[int], replacements: Mapping[int, int]) -> list[int]:
        """Return outputs with some nodes replaced by others, simplified."""
        new = dict(replacements)
        for n in self.needed(outputs, replacements):
            node = self.nodes[n]
            args = [new.get(a, a) for a in node.args]
            new[n] = n if args == list(node.args) else self.apply(node.op, *args)
        return [new.get(n, n) for n in outputs]

    def fuse(
        self, outputs: Sequence[int], known: Iterable[int] = (), invariant: frozenset[str] = frozenset()
    ) -> list[int]:
        """Return outputs with a product that one sum alone reads made part of it: `fma(x, y, z)`, rounded once.

        A difference that is compared for equality is left alone: it would tell the rounding of its product from 0.

        Args:
            outputs: nodes.
            known: nodes that are at hand, and stay as they are.
            invariant: kinds of input that stay as they are from day to day; products of such are no part of a sum
                that changes, since they are worked out before.
        """
        known = set(known)
        needed = self.needed(outputs, known)
        uses = Counter(a for n in needed for a in self.nodes[n].args)
        uses.update(outputs)
        compared = {a for n in needed for a in self.nodes[n].args if self.nodes[n].op in ("eq", "ne")}
        new: dict[int, int] = {n: n for n in known}

        def at(n: int) -> int:
            return new.get(n, n)

        for n in needed:
            node = self.nodes[n]
            parts = (a for a in node.args if n not in compared and self._is_part(a, node, uses, known, invariant))
            part = next(parts, None)
            if part is None:
                args = [at(a) for a in node.args]
                new[n] = n if args == list(node.args) else self.apply(node.op, *args)
                continue
            x, y = (at(a) for a in self.nodes[part].args)
            other = at(node.args[1] if node.args[0] == part else node.args[0])
            if node.op == "sub":
                x, other = (x, self.apply("neg", other)) if node.args[0] == part else (self.apply("neg", x), other)
            new[n] = self.apply("fma", x, y, other)
        return [at(n) for n in outputs]

    def _is_part(
        self, product: int, total: Node, uses: Counter[int], known: Container[int], invariant: frozenset[str]
    ) -> bool:
        node = self.nodes[product]
        apart = node.depends <= invariant and not total.depends <= invariant
        return (
            total.op in ("add", "sub")
            and node.op == "mul"
            and uses[product] == 1
            and product not in known
            and not apart
        )

    def _converted(self, node: int, dtype: np.dtype, name: str) -> int:
        """Return a node as another type: truths become numbers and numbers truths; no number changes its type."""
        truth, number = self.nodes[node].truth, self.number(node)
        if dtype == np.bool_:
            return node if truth else self.apply("ne", node, self.literal(0.0))
        if truth:
            return self.apply("select", node, self.literal(1.0), self.literal(0.0))
        if number is not None:
            return self.literal(dtype.type(number))
        if dtype != self.dtype:
            raise UnprintableError(f"{name}: a number is turned into {dtype}; a model text keeps the type of its state")
        return node

    def needed(self, outputs: Iterable[int], known: Iterable[int] = ()) -> list[int]:
        """Return the operations that outputs rest on, in order; nothing below `known` nodes."""
        return sorted(n for n in self.reached(outputs, known) if self.nodes[n].args)

    def used(self, outputs: Iterable[int], known: Iterable[int]) -> set[int]:
        """Return the `known` nodes that outputs read, or are."""
        known, outputs = set(known), set(outputs)
        return known & outputs.union(*(self.nodes[n].args for n in self.needed(outputs, known)))

    def reached(self, outputs: Iterable[int], known: Iterable[int] = ()) -> set[int]:
        """Return all nodes that outputs rest on, inputs too; no `known` nodes and nothing below them."""
        stop = set(known)
        seen: set[int] = set()
        stack = [n for n in outputs if n not in stop]
        while stack:
            n = stack.pop()
            if n not in seen:
                seen.add(n)
                stack.extend(a for a in self.nodes[n].args if a not in stop)
        return seen


def _inner(equation: Any) -> tuple[Any, Sequence[Any]] | None:
    """Return the jaxpr inside a call, and its constants."""
    if equation.primitive.name not in NESTED and not equation.primitive.name.startswith("remat"):
        return None
    for key in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        inner = equation.params.get(key)
        if inner is not None:
            return (inner.jaxpr, inner.consts) if hasattr(inner, "consts") else (inner, ())
    return None
