"""What is handed out to run the service with fits the service: figures, settings, commands, routes, packages."""

from __future__ import annotations

import configparser
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from app.api.gauges import FIGURES
from app.api.health import READY_WITHIN_S, Metrics
from app.cli import app as commands
from app.core.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "docs" / "deploy"
KUBERNETES = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
KNOWN = {f"SEATWISE_{name.upper()}" for name in Settings.model_fields}
PROBES = {"/healthz", "/readyz"}
STOPS_WITHIN_S = 30


def _rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _dashboard() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((DEPLOY / "dashboard.json").read_text())
    return content


def _questions() -> list[str]:
    panels = _dashboard()["panels"]
    shown = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    return [str(rule["expr"]) for rule in _rules()] + shown


def _figures() -> dict[str, set[str]]:
    """Every series that /metrics can show, with its labels."""
    metrics = Metrics()
    metrics.observe("GET", "/v1/accounts", 200, 0.1)
    for figure in FIGURES:
        row: Any = {"value": 1, **dict.fromkeys(figure.labels, "x")}
        metrics.gauges._show(figure, [row])
    metrics.gauges._pool.labels("books", "busy").set(1)
    samples = [sample for family in metrics.registry.collect() for sample in family.samples]
    return {sample.name: set(sample.labels) for sample in samples}


def test_every_rule_and_every_panel_asks_for_figures_that_there_are() -> None:
    known = _figures()
    asked = [
        (name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector or "")))
        for question in _questions()
        for name, selector in re.findall(r"(seatwise_\w+)(?:\{([^}]*)\})?", question)
    ]
    assert len(asked) > 40
    assert [(name, labels) for name, labels in asked if not labels <= known.get(name, set())] == []
    assert {name for name, _ in asked if name not in known} == set()


def test_figures_are_gathered_by_labels_that_they_have() -> None:
    known = _figures()
    wrong = [
        question
        for question in _questions()
        for labels in re.findall(r"(?:by|ignoring|on|without) \(([^)]*)\)", question)
        if not {each.strip() for each in labels.split(",")}
        <= set().union(*(known[name] for name in re.findall(r"seatwise_\w+", question)))
    ]
    assert wrong == []


def test_every_figure_is_watched_or_shown() -> None:
    questions = " ".join(_questions())
    assert [figure.name for figure in FIGURES if figure.name not in questions] == []


def test_every_alert_says_what_to_do_here_and_in_the_manual() -> None:
    manual = (ROOT / "docs" / "operations.md").read_text()
    for rule in _rules():
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert {"summary", "description"} <= set(rule["annotations"]), rule["alert"]
        assert rule["for"], rule["alert"]
    names = [rule["alert"] for rule in _rules()]
    assert re.findall(r"^\| `(Seatwise\w+)`", manual, re.MULTILINE) == names


def test_every_rule_is_tried_on_figures_where_it_fires_and_where_it_does_not() -> None:
    trials = yaml.safe_load((DEPLOY / "alerts.test.yml").read_text())
    assert trials["rule_files"] == ["alerts.yml"]
    tried = [
        (trial["name"].partition(":")[0], [bool(each["exp_samples"]) for each in trial["promql_expr_test"]])
        for trial in trials["tests"]
    ]
    assert tried == [(rule["alert"], [False, True]) for rule in _rules()]


def test_the_routes_that_alerts_send_to_are_there() -> None:
    paths = json.loads((ROOT / "docs" / "openapi.json").read_text())["paths"]
    told = " ".join(rule["annotations"]["description"] for rule in _rules())
    named = re.findall(
        r"\b(GET|POST|PATCH) (/v1/[^\s?),.]+)(?:\?(\w+)=)?", told.replace("{{ $labels.instance_id }}", "{instance_id}")
    )
    assert len(named) >= 8
    for method, path, parameter in named:
        operation = paths[path][method.lower()]
        assert not parameter or parameter in [each.get("name") for each in operation["parameters"]], (path, parameter)


def test_the_dashboard_takes_the_data_source_that_is_chosen() -> None:
    sources = {json.dumps(panel.get("datasource")) for panel in _dashboard()["panels"] if panel["type"] != "row"}
    assert sources == {json.dumps({"type": "prometheus", "uid": "${datasource}"})}
    assert [each["name"] for each in _dashboard()["templating"]["list"]] == ["datasource", "connector"]
    ids = [panel["id"] for panel in _dashboard()["panels"]]
    assert len(ids) == len(set(ids))


def _of_kind(kind: str) -> Iterator[dict[str, Any]]:
    return (each for each in KUBERNETES if each["kind"] == kind)


def _container(deployment: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = deployment["spec"]["template"]["spec"]["containers"][0]
    return content


def _settings_of_systemd() -> set[str]:
    return set(re.findall(r"\bSEATWISE_[A-Z_]+", (DEPLOY / "seatwise.service").read_text()))


def _settings_of_kubernetes() -> set[str]:
    (secret,) = _of_kind("Secret")
    (plain,) = _of_kind("ConfigMap")
    return set(secret["stringData"]) | set(plain["data"])


def test_every_variable_is_a_setting() -> None:
    compose = set(COMPOSE["services"]["seatwise"]["environment"])
    image = set(re.findall(r"\bSEATWISE_[A-Z_]+", (ROOT / "Dockerfile").read_text()))
    for told in (compose, image, _settings_of_systemd(), _settings_of_kubernetes()):
        assert told
        assert told <= KNOWN
    needed = {"SEATWISE_DATABASE_URL", "SEATWISE_ENCRYPTION_KEYS", "SEATWISE_ADMIN_KEY"}
    assert needed <= compose & _settings_of_kubernetes()


def test_what_is_not_secret_can_be_read_as_it_stands() -> None:
    (plain,) = _of_kind("ConfigMap")
    settings = Settings(
        _env_file=None, **{name.removeprefix("SEATWISE_").lower(): v for name, v in plain["data"].items()}
    )
    assert settings.log_format == "json"
    secret = {"SEATWISE_DATABASE_URL", "SEATWISE_ENCRYPTION_KEYS", "SEATWISE_ADMIN_KEY", "SEATWISE_SMTP_URL"}
    assert not secret & set(plain["data"])


def _command_lines() -> list[list[str]]:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # as the library's own manual does it
    unit.read(DEPLOY / "seatwise.service")
    image = re.findall(r"^CMD (\[.*\])", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    return [
        unit["Service"]["ExecStart"].split(),
        json.loads(image[-1]),
        *(_container(each)["args"] for each in _of_kind("Deployment")),
        ["seatwise", "serve", "--no-workers"],
    ]


@pytest.mark.parametrize("line", _command_lines(), ids=" ".join)
def test_every_command_line_is_one_of_the_service(line: list[str]) -> None:
    program, name, *arguments = line
    assert Path(program).name == "seatwise"
    group = typer.main.get_command(commands)
    command = group.get_command(typer.Context(group), name)  # type: ignore[attr-defined]  # a group has it
    with command.make_context(name, list(arguments)) as context:
        assert context.params.get("port", 8000) == 8000


def test_the_pods_are_those_of_the_image_and_of_the_service() -> None:
    user = int(re.findall(r"--uid (\d+)", (ROOT / "Dockerfile").read_text())[0])
    for deployment in _of_kind("Deployment"):
        template = deployment["spec"]["template"]
        assert deployment["spec"]["selector"]["matchLabels"] == template["metadata"]["labels"]
        pod, container = template["spec"], _container(deployment)
        assert (pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsNonRoot"]) == (user, True)
        assert f"\nUSER {user}:{pod['securityContext']['runAsGroup']}\n" in (ROOT / "Dockerfile").read_text()
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert {each["httpGet"]["path"] for key, each in container.items() if key.endswith("Probe")} <= PROBES
        assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]}


def test_nothing_stops_while_replicas_are_exchanged() -> None:
    deployments = list(_of_kind("Deployment"))
    api = next(each for each in deployments if each["metadata"]["name"] == "seatwise")
    (service,) = _of_kind("Service")
    assert api["spec"]["replicas"] >= 2
    assert api["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert service["spec"]["selector"] == api["metadata"]["labels"]
    budgets = [budget["spec"]["selector"]["matchLabels"] for budget in _of_kind("PodDisruptionBudget")]
    assert budgets == [each["metadata"]["labels"] for each in deployments]


@pytest.mark.parametrize("deployment", list(_of_kind("Deployment")), ids=lambda each: str(each["metadata"]["name"]))
def test_a_pod_is_asked_how_it_is_and_has_the_time_to_end(deployment: dict[str, Any]) -> None:
    pod, container = deployment["spec"]["template"]["spec"], _container(deployment)
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)
    assert container["readinessProbe"]["timeoutSeconds"] > READY_WITHIN_S
    waits = int(container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [0])[-1])
    assert pod["terminationGracePeriodSeconds"] >= waits + STOPS_WITHIN_S
    assert pod["enableServiceLinks"] is False, "SEATWISE_PORT and its like would stand among the settings"


def test_containers_of_compose_come_back_end_in_peace_and_are_not_for_everybody() -> None:
    service = COMPOSE["services"]["seatwise"]
    assert {each["restart"] for each in COMPOSE["services"].values()} == {"unless-stopped"}
    assert int(service["stop_grace_period"].removesuffix("s")) >= STOPS_WITHIN_S
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])


def test_nothing_gets_into_the_image_but_what_it_is_made_of() -> None:
    lines = (ROOT / ".dockerignore").read_text().split()
    assert (lines[0], lines[-1]) == ("*", "**/__pycache__")
    let_in = {line.removeprefix("!") for line in lines[1:-1]}
    assert let_in == {
        "app", "migrations", "pyproject.toml", "README.md", "LICENSE", "requirements.lock", "requirements-tracing.lock",
    }  # fmt: skip


def test_pods_reach_no_private_network_unasked() -> None:
    (policy,) = _of_kind("NetworkPolicy")
    public = next(rule for rule in policy["spec"]["egress"] if {"protocol": "TCP", "port": 443} in rule["ports"])
    kept_out = {network for block in public["to"] for network in block["ipBlock"]["except"]}
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"} <= kept_out


def _packages(lock: str) -> dict[str, str]:
    """Each package's lines in a lock file, its hashes included."""
    found = re.split(r"^(?=[a-z0-9])", (ROOT / lock).read_text(), flags=re.MULTILINE)
    return {entry.partition("==")[0]: entry for entry in found if entry}


def test_the_packages_of_traces_are_those_of_the_service_and_a_few_more() -> None:
    runtime, tracing, everything = map(
        _packages, ("requirements.lock", "requirements-tracing.lock", "requirements-dev.lock")
    )
    assert runtime.items() <= tracing.items() <= everything.items()
    assert "opentelemetry-sdk" in tracing
