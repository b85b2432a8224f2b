"""YAML that a stranger may have written → plain values: short, shallow, every key once, nothing run, nothing repeated.

PyYAML's safe loader runs no code, but it follows aliases (a few lines unfold to gigabytes), silently takes the last of
two values for a key, and passes on whatever error a value raises in Python.
"""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError
from yaml.nodes import MappingNode, Node, ScalarNode

from medaudit.errors import ConfigProblem, SourceMissing
from medaudit.regular import read_first

_LONGEST = 1 << 17  # bytes; PyYAML reads about 100 kB a second
_DEEPEST = 40  # values within values
_DIGITS = 4000  # of one number: Python converts no longer ones from text


def read_yaml(path: Path, where: str) -> Any:
    """The values in a YAML file, None for an empty one; `where` names it in errors.

    Raises SourceMissing where there is no plain file, ConfigProblem with the line for what cannot be read.
    """
    if not path.is_file():  # a pipe would be waited for
        raise SourceMissing(f"{where} is not a file; give a YAML file")
    data = read_first(path, _LONGEST + 1)
    if len(data) > _LONGEST:
        raise ConfigProblem(f"{where} is larger than {_LONGEST // 1024} KiB; that is no config")
    return parse_yaml(data, where)


def parse_yaml(data: bytes, where: str) -> Any:
    """The same from the bytes of a file. Raises ConfigProblem."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigProblem(f"{where} is not valid YAML: it is not in UTF-8; save it as UTF-8") from None
    try:
        return yaml.load(text, _Plain)
    except yaml.YAMLError as error:
        raise ConfigProblem(f"{where} is not valid YAML: {_reason(error)}") from None


class _Plain(yaml.SafeLoader):
    """The safe loader with limits; what it raises is a YAMLError and quotes nothing of the file."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        """One value and all within it."""
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            raise _Refused("an alias (*name) is not read; write the value out", event.start_mark)
        if self._depth >= _DEEPEST:
            raise _Refused(f"more than {_DEEPEST} values within each other", event.start_mark)
        self._depth += 1
        try:
            return super().compose_node(parent, index)  # type: ignore[no-any-return]
        finally:
            self._depth -= 1

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """A mapping in which no key comes twice."""
        seen = set()
        for key, _ in node.value if isinstance(node, MappingNode) else ():  # a tag may say so of a list
            if isinstance(key, ScalarNode):
                if (key.tag, key.value) in seen:
                    raise _Refused("a key that was given before", key.start_mark)
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        """The value of a node. What Python cannot convert (no such day, too many digits) is an error with its line."""
        try:
            if (
                isinstance(node, ScalarNode)
                and node.tag.endswith((":int", ":float"))
                and len(node.value) > _DIGITS
            ):
                raise ValueError
            return super().construct_object(node, deep)
        except (yaml.YAMLError, MemoryError):
            raise
        except Exception:  # ValueError, KeyError, AttributeError, IndexError: each constructor has its own
            raise _Refused("a value that cannot be read", node.start_mark) from None


class _Refused(ConstructorError):
    """What this loader does not read, and where."""

    def __init__(self, problem: str, mark: Any) -> None:
        super().__init__(None, None, problem, mark)


def _reason(error: yaml.YAMLError) -> str:
    """What is wrong in which line, without a word of the file."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return "it holds a character that no text has"
    mark = error.problem_mark or error.context_mark
    if isinstance(error, _Refused):
        said = error.problem
    elif isinstance(error, ConstructorError):
        said = "a value or tag that is not read"
    elif error.context == "expected a single document in the stream":
        said = "a second document; give one"
    else:
        said = "it cannot be understood"
    return f"line {mark.line + 1}: {said}" if mark is not None else str(said)
