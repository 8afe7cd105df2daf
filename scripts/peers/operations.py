"""The table of operations for docs/ec2-operations.md.

    operations.py ACTIONS CLIENT

ACTIONS and CLIENT are comma-separated: what the emulator serves, what our client sends.
"""

import inspect
import re
import sys

import botocore.session
from moto.ec2.responses import EC2Response


def in_moto(action):
    snake = re.sub(r"(?<!^)(?=[A-Z])", "_", action).lower()
    method = getattr(EC2Response, snake, None)
    return method is not None and "NotImplementedError" not in inspect.getsource(method)


def main():
    served, sent = (set(filter(None, text.split(","))) for text in sys.argv[1:3])
    model = botocore.session.get_session().get_service_model("ec2")
    print("| operation | our client | our emulator | moto | parameters in EC2's model |")
    print("|---|---|---|---|---|")
    yes = {True: "yes", False: ""}
    for action in sorted(served | sent):
        shape = model.operation_model(action).input_shape
        known = len(shape.members) if shape is not None else 0
        print(f"| `{action}` | {yes[action in sent]} | {yes[action in served]} "
              f"| {yes[in_moto(action)]} | {known} |")


if __name__ == "__main__":
    main()
