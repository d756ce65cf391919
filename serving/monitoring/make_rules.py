"""Writes the rules as a PrometheusRule, for Kustomize and Helm: python serving/monitoring/make_rules.py."""

from __future__ import annotations

from pathlib import Path

import yaml

SERVING = Path(__file__).resolve().parents[1]
KUSTOMIZE = SERVING / "kubernetes" / "components" / "monitoring" / "rules.yaml"
HELM = SERVING / "helm" / "model-server" / "files" / "rules.yaml"
_HEAD = "# Written by serving/monitoring/make_rules.py, from the rules beside it.\n"


def groups_as_text() -> str:
    """The groups of both files of rules."""
    files = [SERVING / "monitoring" / "rules" / f"{name}.yml" for name in ("recording", "alerts")]
    groups = [group for file in files for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]]
    return str(yaml.safe_dump({"groups": groups}, sort_keys=False, width=1000, allow_unicode=True))


def rule_as_text() -> str:
    """A PrometheusRule."""
    spec = "".join(f"  {line}\n" for line in groups_as_text().splitlines())
    head = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "metadata": {"name": "model-serving"}}
    return f"{_HEAD}{yaml.safe_dump(head, sort_keys=False)}spec:\n{spec}"


if __name__ == "__main__":
    KUSTOMIZE.write_text(rule_as_text(), encoding="utf-8")
    HELM.write_text(_HEAD + groups_as_text(), encoding="utf-8")
