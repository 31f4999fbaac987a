"""From tokens to a tree: precedence climbing, bounded in depth."""

from auditor.policy.language.errors import ExpressionError
from auditor.policy.language.lexer import Kind, Token, tokens
from auditor.policy.language.syntax import (
    Binary,
    Call,
    Conditional,
    Index,
    ListLiteral,
    Literal,
    Logic,
    Member,
    Name,
    Node,
    Unary,
)

MAX_DEPTH = 32

_RELATIONS = ("==", "!=", "<", "<=", ">", ">=", "in")
_KEYWORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_RESERVED = frozenset(
    ("as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop",
     "package", "namespace", "return", "var", "void", "while")
)  # fmt: skip
_WORDS = {"and": "&&", "or": "||", "not": "!", "is": "==", "AND": "&&", "OR": "||", "NOT": "!"}
_NO_ARITHMETIC = "only + and - are supported, on durations, times and numbers"


def parse(text: str) -> Node:
    """Return the tree of *text*; raises `ExpressionError`."""
    if not text.strip():
        raise ExpressionError("the expression is empty", 0, 1)
    return _Parser(tokens(text)).whole()


class _Parser:
    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._position = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._expression()
        if self._now.kind is not Kind.END:
            raise self._unexpected("an operator")
        return node

    @property
    def _now(self) -> Token:
        return self._tokens[self._position]

    def _take(self) -> Token:
        token = self._now
        self._position += 1
        return token

    def _accept(self, *texts: str) -> Token | None:
        token = self._now
        if token.kind in (Kind.SYMBOL, Kind.NAME) and token.text in texts:
            return self._take()
        return None

    def _expect(self, text: str) -> Token:
        token = self._accept(text)
        if token is None:
            raise self._unexpected(f"'{text}'")
        return token

    def _unexpected(self, wanted: str) -> ExpressionError:
        token = self._now
        if token.kind is Kind.END:
            return ExpressionError(
                f"the expression ends where {wanted} is expected", token.start, token.end
            )
        hint = f"; write '{_WORDS[token.text]}'" if token.text in _WORDS else ""
        return ExpressionError(
            f"expected {wanted}, not {token.text!r}{hint}", token.start, token.end
        )

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            token = self._now
            raise ExpressionError(
                f"nested deeper than {MAX_DEPTH} levels; split the policy", token.start, token.end
            )

    def _expression(self) -> Node:
        self._deeper()
        condition = self._chain("||")
        if self._accept("?"):
            then = self._expression()
            self._expect(":")
            otherwise = self._expression()
            condition = Conditional(
                condition=condition, then=then, otherwise=otherwise,
                start=condition.start, end=otherwise.end,
            )  # fmt: skip
        self._depth -= 1
        return condition

    def _chain(self, operator: str) -> Node:
        read = self._relation if operator == "&&" else lambda: self._chain("&&")
        operands = [read()]
        while self._accept(operator):
            operands.append(read())
        if len(operands) == 1:
            return operands[0]
        return Logic(
            operator=operator,
            operands=tuple(operands),
            start=operands[0].start,
            end=operands[-1].end,
        )

    def _relation(self) -> Node:
        left = self._sum()
        operator = self._accept(*_RELATIONS)
        if operator is None:
            return left
        right = self._sum()
        again = self._accept(*_RELATIONS)
        if again is not None:
            raise ExpressionError(
                "comparisons cannot be chained; join two with '&&'", again.start, again.end
            )
        return Binary(
            operator=operator.text, left=left, right=right, start=left.start, end=right.end
        )

    def _sum(self) -> Node:
        left = self._unary()
        before = self._depth
        while operator := self._accept("+", "-", "*", "/", "%"):
            if operator.text not in "+-":
                raise ExpressionError(_NO_ARITHMETIC, operator.start, operator.end)
            self._deeper()
            right = self._unary()
            left = Binary(
                operator=operator.text, left=left, right=right, start=left.start, end=right.end
            )
        self._depth = before
        return left

    def _unary(self) -> Node:
        operator = self._accept("!", "-")
        if operator is None:
            return self._postfix()
        self._deeper()
        operand = self._unary()
        self._depth -= 1
        return Unary(operator=operator.text, operand=operand, start=operator.start, end=operand.end)

    def _postfix(self) -> Node:
        node = self._primary()
        before = self._depth
        while True:
            if self._accept("."):
                self._deeper()
                node = self._member(node)
            elif self._accept("["):
                self._deeper()
                key = self._expression()
                closing = self._expect("]")
                node = Index(operand=node, key=key, start=node.start, end=closing.end)
            else:
                self._depth = before
                return node

    def _member(self, target: Node) -> Node:
        if self._now.kind is not Kind.NAME:
            raise self._unexpected("a name")
        name = self._take()
        if self._accept("("):
            arguments, end = self._arguments(")")
            return Call(
                name=name.text, target=target, arguments=arguments, start=target.start, end=end
            )
        return Member(operand=target, name=name.text, start=target.start, end=name.end)

    def _arguments(self, closing: str) -> tuple[tuple[Node, ...], int]:
        found: list[Node] = []
        while not (end := self._accept(closing)):
            if found:
                self._expect(",")
            found.append(self._expression())
        return tuple(found), end.end

    def _primary(self) -> Node:
        token = self._now
        if token.kind in (Kind.INT, Kind.FLOAT, Kind.STRING):
            self._take()
            return Literal(value=token.value, start=token.start, end=token.end)
        if token.kind is Kind.NAME:
            return self._name()
        if self._accept("("):
            node = self._expression()
            self._expect(")")
            return node
        if self._accept("["):
            items, end = self._arguments("]")
            return ListLiteral(items=items, start=token.start, end=end)
        if token.text == "{":
            raise ExpressionError("maps cannot be written here", token.start, token.end)
        raise self._unexpected("a value")

    def _name(self) -> Node:
        token = self._now
        if token.text == "in" or token.text in _RESERVED or token.text in _WORDS:
            raise self._unexpected("a value")
        self._take()
        if token.text in _KEYWORDS:
            return Literal(value=_KEYWORDS[token.text], start=token.start, end=token.end)
        if self._accept("("):
            arguments, end = self._arguments(")")
            return Call(
                name=token.text, target=None, arguments=arguments, start=token.start, end=end
            )
        return Name(name=token.text, start=token.start, end=token.end)
