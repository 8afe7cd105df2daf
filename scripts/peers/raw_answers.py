"""Holds the raw XML of EC2 answers to the service model that botocore ships.

botocore ignores elements it does not know, so that an answer can be wrong and still be parsed.
Here every element must be a member of the operation's output shape, every list must hold items,
and every scalar must be of its type.
"""

import re
from xml.etree import ElementTree

# In every answer, and not in the shapes.
EVERYWHERE = {"requestId"}

TYPES = {
    "boolean": re.compile(r"true|false"),
    "integer": re.compile(r"-?\d+"),
    "long": re.compile(r"-?\d+"),
    "double": re.compile(r"-?\d+(\.\d+)?"),
    "float": re.compile(r"-?\d+(\.\d+)?"),
    "timestamp": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"),
}


def tag(element):
    return element.tag.rpartition("}")[2]


def check(element, shape, path, faults):
    """Adds to `faults` what of an element is not of its shape."""
    if shape.type_name == "structure":
        members = {m.serialization.get("name", n): m for n, m in shape.members.items()}
        seen = set()
        for child in element:
            name = tag(child)
            if path.count(".") == 0 and name in EVERYWHERE:
                continue
            if name not in members:
                faults.append(f"{path}.{name}: not in the model")
                continue
            if name in seen:
                faults.append(f"{path}.{name}: twice")
            seen.add(name)
            check(child, members[name], f"{path}.{name}", faults)
        for name in shape.required_members:
            member = shape.members[name]
            if member.serialization.get("name", name) not in seen:
                faults.append(f"{path}.{name}: required and missing")
    elif shape.type_name == "list":
        item = shape.member.serialization.get("name", "member")
        for child in element:
            if tag(child) != item:
                faults.append(f"{path}: {tag(child)} where {item} is meant")
            else:
                check(child, shape.member, f"{path}[]", faults)
    else:
        text = element.text or ""
        if len(element):
            faults.append(f"{path}: elements in a {shape.type_name}")
        form = TYPES.get(shape.type_name)
        if form and not form.fullmatch(text):
            faults.append(f"{path}: {text!r} is no {shape.type_name}")
        if shape.type_name == "string" and shape.enum and text and text not in shape.enum:
            faults.append(f"{path}: {text!r} is none of the model's values")


def check_answer(body, operation):
    """What is wrong with the raw answer to an operation."""
    faults = []
    root = ElementTree.fromstring(body)
    if tag(root) == "Response":
        # An error: Response/Errors/Error/{Code,Message} and RequestID.
        code = root.find("./Errors/Error/Code")
        message = root.find("./Errors/Error/Message")
        if code is None or message is None or root.find("./RequestID") is None:
            faults.append(f"{operation.name}: an error without code, message or request id")
        return faults
    expected = f"{operation.name}Response"
    if tag(root) != expected:
        faults.append(f"{tag(root)} where {expected} is meant")
    if root.find("{*}requestId") is None:
        faults.append(f"{operation.name}: no request id")
    if operation.output_shape is not None:
        check(root, operation.output_shape, operation.name, faults)
    return faults
