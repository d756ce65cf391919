"""The pool: message classes made from the definitions, with TensorFlow's own full names and numbers.

It is a pool of its own, so that nothing collides where TensorFlow is loaded too.
"""

from __future__ import annotations

import re
from typing import Any

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

from tfkit_serving.protocol.definitions import FILES

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    name: getattr(_Field, f"TYPE_{name.upper()}")
    for name in ("double", "float", "int64", "uint64", "int32", "uint32", "bool", "string", "bytes")
}
_FIELD = re.compile(
    r"(?:(?P<label>repeated|optional) )?(?P<type>\S+) (?P<name>\w+) = (?P<number>\d+)(?: oneof (?P<oneof>\w+))?"
)
_MAP = re.compile(r"map<(\w+),([\w.]+)>")


class _Writer:
    """Writes the definitions of a file into a FileDescriptorProto; knows the types that were defined before."""

    def __init__(self, types: dict[str, int]) -> None:
        self.types = types

    def file(self, module: Any) -> descriptor_pb2.FileDescriptorProto:
        name = f"tfkit_serving/{module.__name__.rpartition('.')[2]}.proto"
        file = descriptor_pb2.FileDescriptorProto(name=name, package=module.PACKAGE, syntax="proto3")
        lines = [line for line in module.TEXT.splitlines() if line]
        self._declare(lines, module.PACKAGE)
        scopes: list[tuple[Any, str]] = [(file, module.PACKAGE)]
        for line in lines:
            depth = (len(line) - len(line.lstrip())) // 2
            del scopes[depth + 1 :]
            self._add(line.strip(), scopes)
        return file

    def _declare(self, lines: list[str], package: str) -> None:
        names = [package]
        for line in lines:
            word, _, rest = line.strip().partition(" ")
            if word in ("message", "enum"):
                depth = (len(line) - len(line.lstrip())) // 2
                names[depth + 1 :] = [rest.split()[0]]
                self.types[".".join(names)] = _Field.TYPE_MESSAGE if word == "message" else _Field.TYPE_ENUM

    def _add(self, text: str, scopes: list[tuple[Any, str]]) -> None:
        parent, scope = scopes[-1]
        word, _, rest = text.partition(" ")
        if word == "message":
            made = parent.message_type if len(scopes) == 1 else parent.nested_type
            scopes.append((made.add(name=rest), f"{scope}.{rest}"))
        elif word == "enum":
            name, *values = rest.split()
            enum = parent.enum_type.add(name=name)
            for value in values:
                key, _, number = value.partition("=")
                enum.value.add(name=key, number=int(number))
        else:
            self._field(text, parent, scope)

    def _field(self, text: str, message: Any, scope: str) -> None:
        found = _FIELD.fullmatch(text)
        assert found, text
        field = message.field.add(name=found["name"], number=int(found["number"]), label=_Field.LABEL_OPTIONAL)
        if found["label"] == "repeated":
            field.label = _Field.LABEL_REPEATED
        if found["label"] == "optional":
            field.proto3_optional = True
        oneof = found["oneof"] or (f"_{found['name']}" if found["label"] == "optional" else None)
        if oneof:
            names = [each.name for each in message.oneof_decl]
            if oneof not in names:
                message.oneof_decl.add(name=oneof)
                names.append(oneof)
            field.oneof_index = names.index(oneof)
        mapped = _MAP.fullmatch(found["type"])
        self._type(field, self._entry(message, found["name"], mapped, scope) if mapped else found["type"], scope)
        if mapped:
            field.label = _Field.LABEL_REPEATED

    def _entry(self, message: Any, name: str, mapped: re.Match[str], scope: str) -> str:
        entry_name = "".join(part.capitalize() for part in name.split("_")) + "Entry"
        entry = message.nested_type.add(name=entry_name)
        entry.options.map_entry = True
        for number, (key, kind) in enumerate((("key", mapped[1]), ("value", mapped[2])), 1):
            self._type(entry.field.add(name=key, number=number, label=_Field.LABEL_OPTIONAL), kind, scope)
        self.types[f"{scope}.{entry_name}"] = _Field.TYPE_MESSAGE
        return entry_name

    def _type(self, field: Any, kind: str, scope: str) -> None:
        if kind in _SCALARS:
            field.type = _SCALARS[kind]
            return
        full = kind if kind in self.types else None
        while full is None:
            candidate = f"{scope}.{kind}"
            full = candidate if candidate in self.types else None
            assert scope, kind
            scope = scope.rpartition(".")[0]
        field.type, field.type_name = self.types[full], f".{full}"


def _classes() -> dict[str, type]:
    pool = descriptor_pool.DescriptorPool()
    types: dict[str, int] = {}
    needed = []
    for module in (any_pb2, wrappers_pb2):
        file = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        pool.Add(file)
        needed.append(file.name)
        types.update({f"{file.package}.{each.name}": _Field.TYPE_MESSAGE for each in file.message_type})
    classes: dict[str, type] = {}
    for module in FILES:
        file = _Writer(types).file(module)
        file.dependency.extend(needed)
        pool.Add(file)
        needed.append(file.name)
        for each in file.message_type:
            classes[each.name] = message_factory.GetMessageClass(
                pool.FindMessageTypeByName(f"{file.package}.{each.name}")
            )
    return classes


CLASSES = _classes()
