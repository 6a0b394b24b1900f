"""In: a version of Kubernetes, a folder of CRDs, and files of objects. Out: what their schemas refuse, a line each.

``make tools`` makes the environment that this runs in: the package with the schemas is too big for that of the tests.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-not-found, import-untyped, unused-ignore]
import kubernetes_validate  # type: ignore[import-not-found, import-untyped, unused-ignore]
import yaml  # type: ignore[import-untyped, unused-ignore]

Crds = Mapping[tuple[str, str], Any]


def load(file: Path) -> Iterator[Any]:
    yield from (one for one in yaml.load_all(file.read_text("utf-8"), Loader=yaml.CSafeLoader) if one)


def load_crds(folder: Path) -> Crds:
    """Schemas of custom resources by version and kind."""
    specs = [one["spec"] for file in folder.glob("*.yaml") for one in load(file)]
    return {
        (f"{spec['group']}/{version['name']}", spec["names"]["kind"]): close(version["schema"]["openAPIV3Schema"])
        for spec in specs
        for version in spec["versions"]
    }


def close(schema: Any) -> Any:
    """Refuse fields that the API server would drop in silence."""
    if isinstance(schema, dict):
        closed = {key: close(value) for key, value in schema.items()}
        is_open = "additionalProperties" in schema or schema.get("x-kubernetes-preserve-unknown-fields")
        if isinstance(schema.get("properties"), dict) and "type" in schema and not is_open:
            closed["additionalProperties"] = False
        return closed
    return [close(one) for one in schema] if isinstance(schema, list) else schema


def refusals(one: Any, version: str, crds: Crds) -> Iterator[str]:
    """Why an object is no object of its kind."""
    try:
        if schema := crds.get((one["apiVersion"], one["kind"])):
            # the schemas themselves are not judged: their patterns are Go's
            jsonschema.Draft202012Validator(schema).validate(one)
        else:
            kubernetes_validate.validate(one, version, strict=True)
    except jsonschema.ValidationError as error:
        yield f"{'.'.join(map(str, error.path))}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError as error:
        yield error.message


def main(version: str, crds: str, *files: str) -> int:
    known = load_crds(Path(crds))
    judged = [(one, list(refusals(one, version, known))) for file in files for one in load(Path(file))]
    lines = [f"{one['kind']} {one['metadata']['name']}: {line}" for one, refused in judged for line in refused]
    sys.stdout.write("\n".join([*lines, f"{len(judged)} objects, {len(lines)} refused\n"]))
    return 1 if lines or not judged else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
