"""`cliproxy alerts render`: AlertRules as Prometheus alert rules, from the cluster or from files.

What a rule becomes is `cliproxy_api.alert_export`'s; the operator writes the same by itself where a rule has
`spec.export: PrometheusRule`.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml

from cliproxy_api.alert_export import groups, prometheus_rule, selected
from cliproxy_api.alert_promql import NotExpressibleError
from cliproxy_api.kinds import ALERT_RULE, PROVIDER
from cliproxy_api.resources.alertrule import AlertRule
from cliproxy_api.resources.llmprovider import LLMProvider
from cliproxy_api.resources.parse import ParseFailure, parse_as
from cliproxy_cli.context import Context
from cliproxy_cli.failures import FAILED, CommandFailed
from cliproxy_cli.output import dump
from cliproxy_cli.parser import Subparsers, add_command

T = TypeVar("T", AlertRule, LLMProvider)

FORMS: Final = ("prometheusrule", "rules")


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "alerts",
        help="alert rules rendered for Prometheus",
        description="Alert rules rendered for Prometheus.",
        argument_default=argparse.SUPPRESS,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    render = add_command(
        actions,
        "render",
        run,
        summary="AlertRules as PrometheusRules, or as a rule file",
        description="AlertRules as PrometheusRules for kubectl apply (the default), or with -o rules\n"
        "as one file for Prometheus' rule_files. Without -f those of the cluster. What PromQL cannot\n"
        "say is named on standard error and left out; the exit code is 1 then.",
        forms=FORMS,
        all_namespaces=True,
    )
    render.add_argument(
        "-f",
        "--filename",
        action="append",
        metavar="FILE",
        help="read AlertRules and LLMProviders from this file instead (may be given again)",
    )
    render.add_argument(
        "rules", nargs="*", metavar="RULE", default=[], help="only these rules (default: all)"
    )


def run(context: Context) -> int:
    """Print the rules; 1 if any could not be rendered."""
    raw = list(_from_files(context) if context.option("filename") else _from_cluster(context))
    rules = _parsed(context, raw, AlertRule)
    wanted = set(context.option("rules", []))
    if missing := wanted - {rule.metadata.name for rule in rules}:
        raise CommandFailed(f"there is no valid AlertRule {', '.join(sorted(missing))}")
    providers = _parsed(context, raw, LLMProvider)
    failed = len(rules) != sum(one.get("kind") == ALERT_RULE.kind for one in raw)
    documents: list[Any] = []
    for rule in rules:
        if wanted and rule.metadata.name not in wanted:
            continue
        chosen = selected(rule, providers)
        try:
            if context.option("output", FORMS[0]) == "rules":
                documents += groups(rule, chosen)
            else:
                documents.append(prometheus_rule(rule, chosen))
        except NotExpressibleError as error:
            context.note(f"{rule.metadata.namespace}/{rule.metadata.name}: {error}")
            failed = True
    if context.option("output", FORMS[0]) == "rules":
        context.print(dump({"groups": documents}, "yaml"))
    elif documents:
        context.print("\n---\n".join(dump(one, "yaml") for one in documents))
    if not rules:
        context.note("no AlertRules found; look everywhere with -A")
    return FAILED if failed else 0


def _from_cluster(context: Context) -> Iterator[dict[str, Any]]:
    for resource in (ALERT_RULE, PROVIDER):
        for one in context.kube.items(resource, context.namespace):
            yield {**one, "kind": resource.kind}  # entries of a list do not say their kind


def _from_files(context: Context) -> Iterator[dict[str, Any]]:
    """Yield the documents of the files; one without a namespace is of that of -n, or `default`."""
    for name in context.option("filename"):
        try:
            documents = list(yaml.safe_load_all(Path(name).read_text("utf-8")))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise CommandFailed(f"{name}: {error}") from None
        for one in documents:
            if one is None:
                continue
            if not isinstance(one, dict) or not isinstance(one.get("metadata"), dict):
                raise CommandFailed(f"{name}: a document is no object with metadata")
            namespace = one["metadata"].get("namespace") or context.option("namespace") or "default"
            yield {**one, "metadata": {**one["metadata"], "namespace": namespace}}


def _parsed(context: Context, raw: list[dict[str, Any]], type_: type[T]) -> list[T]:
    found: list[T] = []
    for one in raw:
        if one.get("kind") != type_.__name__:
            continue
        entry = parse_as(type_, one)
        if isinstance(entry, ParseFailure):
            context.note(f"{type_.__name__} {entry.metadata.name}: {entry.path} {entry.message}")
        else:
            found.append(entry)
    return found
