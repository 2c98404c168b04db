"""The filters of the list methods, as far as they are modelled: AND of ORs of comparisons.

cloud.google.com/secret-manager/docs/filtering: ``name:asecret OR name:bsecret``,
``labels.environment=production``, ``create_time<2021-01-01T06:00:00Z AND …``, ``NOT``. As in every
filter of these APIs, OR binds more tightly than AND, and AND may be left out
(google.aip.dev/160). Annotations can't be asked for. What is not modelled is refused: to ignore it
would make a test pass for the wrong reason.
"""

import re
from collections.abc import Callable
from datetime import datetime

from google.cloud.secretmanager_v1.types import Secret, SecretVersion

from infra.local.gcp.names import invalid

type Message = Secret | SecretVersion
type Matches = Callable[[Message], bool]

_TERM = re.compile(
    r"""\s*(?P<negation>NOT\s+|-)?(?P<field>[^\s"():=<>!~-][^\s"():=<>!~]*)
        \s*(?P<operator><=|>=|!=|[:=<>])\s*(?P<value>"[^"]*"|[^\s"()=<>]+)\s*""",
    re.VERBOSE,
)
_JOINT = re.compile(r"(AND|OR)\s+(?!AND\b|OR\b)")
_ORDERS: dict[str, Callable[[datetime, datetime], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def compile_filter(text: str) -> Matches:
    """Return the test that a filter stands for; everything passes an empty one."""
    clauses: list[list[Matches]] = []
    position, joined_by_or = 0, False
    while position < len(text.rstrip()):
        term = _TERM.match(text, position)
        if term is None:
            raise _malformed(text)
        if joined_by_or:
            clauses[-1].append(_term(term))
        else:
            clauses.append([_term(term)])
        joint = _JOINT.match(text, term.end())
        joined_by_or = joint is not None and joint[1] == "OR"
        position = term.end() if joint is None else joint.end()
        if joint is not None and position >= len(text.rstrip()):
            raise _malformed(text)
    return lambda message: all(any(term(message) for term in clause) for clause in clauses)


def _term(found: re.Match[str]) -> Matches:
    matches = _comparison(found["field"], found["operator"], found["value"].strip('"'))
    return matches if found["negation"] is None else lambda message: not matches(message)


def _comparison(field: str, operator: str, value: str) -> Matches:
    if operator == "!=":
        equal = _comparison(field, "=", value)
        return lambda message: not equal(message)
    if field == "create_time" and operator in _ORDERS:
        return _date(operator, value)
    if operator in _ORDERS:
        raise invalid(f"The filter's comparison of {field} is not valid or not modelled.")
    prefix, _, key = field.partition(".")
    if prefix == "labels" and key:
        return _label(key, operator, value)
    if field == "name":
        return _name(operator, value)
    if field == "state":
        return lambda message: isinstance(message, SecretVersion) and message.state.name == value
    raise invalid(f"The filter's field {field} is not valid or not modelled.")


def _label(key: str, operator: str, value: str) -> Matches:
    if operator == ":" and value == "*":
        return lambda message: isinstance(message, Secret) and key in message.labels
    if operator == ":":
        return lambda m: isinstance(m, Secret) and value in m.labels.get(key, "")
    return lambda message: isinstance(message, Secret) and message.labels.get(key) == value


def _name(operator: str, value: str) -> Matches:
    if operator == ":":
        return lambda message: value in message.name.rpartition("/")[2]
    return lambda message: value in (message.name, message.name.rpartition("/")[2])


def _date(operator: str, value: str) -> Matches:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise _malformed(value) from None
    if moment.tzinfo is None:
        raise _malformed(value)
    order = _ORDERS[operator]
    return lambda message: order(message.create_time, moment)


def _malformed(text: str) -> Exception:
    return invalid(f"Filter [{text}] is malformed or not modelled.")
