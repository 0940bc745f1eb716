"""What `deploy/` holds is read by its own tools, and names nothing that is not there."""

import ast
import inspect
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from netwright import cli, serving

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def arguments_of(text):
    """What a container is started with, as the command line reads it."""
    from typer.main import get_command

    from netwright.cli.root import app

    command = get_command(app).commands[text[0]]
    with command.make_context("serve", list(text[1:])) as context:
        return context.params


@pytest.fixture(scope="module")
def manifests():
    if shutil.which("kubectl") is None:
        pytest.skip("needs kubectl")
    done = subprocess.run(
        ["kubectl", "kustomize", DEPLOY / "kubernetes"], capture_output=True, text=True, check=True
    )
    return list(yaml.safe_load_all(done.stdout))


def of_kind(manifests, kind):
    (found,) = [each for each in manifests if each["kind"] == kind]
    return found


def test_kubernetes_knows_every_field(manifests):
    import kubernetes_validate

    assert {each["kind"] for each in manifests} >= {
        "Deployment",
        "Service",
        "HorizontalPodAutoscaler",
    }
    for each in manifests:
        kubernetes_validate.validate(each, "1.31", strict=True)


def test_pods_have_no_rights_that_they_do_not_need(manifests):
    pod = of_kind(manifests, "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_pods_are_found_by_what_serves_and_scales_them(manifests):
    deployment = of_kind(manifests, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    for selector in (
        deployment["spec"]["selector"]["matchLabels"],
        of_kind(manifests, "Service")["spec"]["selector"],
        of_kind(manifests, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        of_kind(manifests, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector
        assert selector.items() <= labels.items()
    target = of_kind(manifests, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert target["name"] == deployment["metadata"]["name"]
    claims = [each["metadata"]["name"] for each in manifests if "Claim" in each["kind"]]
    volumes = deployment["spec"]["template"]["spec"]["volumes"]
    assert [v["persistentVolumeClaim"]["claimName"] for v in volumes if "persistentVolumeClaim" in v] == claims  # fmt: skip


def test_the_autoscaler_reads_what_the_server_tells(manifests, server):
    metrics = of_kind(manifests, "HorizontalPodAutoscaler")["spec"]["metrics"]
    with urllib.request.urlopen(f"http://127.0.0.1:{server}/metrics") as answer:
        told = answer.read().decode()
    for each in metrics:
        assert re.search(rf"^{each['pods']['metric']['name']} ", told, re.MULTILINE)


def test_containers_are_started_as_the_command_line_understands(manifests):
    (container,) = of_kind(manifests, "Deployment")["spec"]["template"]["spec"]["containers"]
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for text in (container["args"], compose["services"]["server"]["command"], command_of_image()):
        params = arguments_of(text)
        assert params["host"] == "0.0.0.0"
        # Without tokens the server would refuse to start there.
        assert params["token_file"] is not None
    grace = of_kind(manifests, "Deployment")["spec"]["template"]["spec"]
    drain = arguments_of(container["args"])["drain_seconds"]
    sleep = int(container["lifecycle"]["preStop"]["exec"]["command"][-1])
    assert grace["terminationGracePeriodSeconds"] > drain + sleep


def instructions():
    from dockerfile_parse import DockerfileParser

    return DockerfileParser(path=str(DEPLOY / "Dockerfile")).structure


def command_of_image():
    (line,) = [each["value"] for each in instructions() if each["instruction"] == "CMD"]
    return json.loads(line)


def test_the_image_is_made_of_what_is_there():
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    for each in instructions():
        if each["instruction"] != "COPY" or each["value"].startswith("--from"):
            continue
        *sources, _ = each["value"].split()
        for source in sources:
            assert (ROOT / source).exists(), source
            assert f"!{source.rstrip('/')}" in ignored
    named = re.search(r"\.\[([\w,]+)\]", (DEPLOY / "Dockerfile").read_text())[1].split(",")
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert set(named) <= set(extras)


def test_the_image_runs_as_nobody_in_particular():
    users = [each["value"] for each in instructions() if each["instruction"] == "USER"]
    assert users == ["10001:10001"]


def test_containers_are_told_where_networks_are_kept(manifests):
    (container,) = of_kind(manifests, "Deployment")["spec"]["template"]["spec"]["containers"]
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for given in (
        {e["name"] for e in container["env"]},
        set(compose["services"]["server"]["environment"]),
    ):
        from typer.main import get_command

        from netwright.cli import server

        read = {p.envvar for p in get_command(server.app).commands["serve"].params if p.envvar}
        assert read <= given
        assert read


def test_compose_names_only_what_it_has():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    services = compose["services"]
    for service in services.values():
        assert set(service.get("depends_on", ())) <= set(services)
        assert set(service["networks"]) <= set(compose["networks"])
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert source.startswith("./") or source in compose["volumes"]
    assert (DEPLOY / "nginx.conf").is_file()
    assert services["server"]["read_only"] is True
    if shutil.which("docker") and not subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:  # fmt: skip
        file = DEPLOY / "compose.yaml"
        subprocess.run(
            ["docker", "compose", "-f", file, "config", "-q"],
            env={"POSTGRES_PASSWORD": "x"},
            check=True,
        )


def free_port():
    with socket.socket() as each:
        each.bind(("127.0.0.1", 0))
        return each.getsockname()[1]


def until_it_answers(port, path="/healthz"):
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
                return answer.status
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    raise AssertionError("it does not answer")


@pytest.fixture(scope="module")
def sine(tmp_path_factory):
    """Run of a hypernetwork for sine waves, trained for a moment."""
    folder = tmp_path_factory.mktemp("deployed") / "sine"
    with pytest.MonkeyPatch.context() as patch:
        command = ["train", "sine", "--steps", 2, "--tasks", 2, "--quiet", "--folder", folder]
        patch.setattr(sys, "argv", ["netwright", *map(str, command)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        assert not stopped.value.code
    return folder


@pytest.fixture(scope="module")
def server(sine):
    """Port of a server of it."""
    port = free_port()
    command = [sys.executable, "-m", "netwright", "serve", str(sine), "--port", str(port)]
    process = subprocess.Popen(command, cwd=sine.parent, stdout=subprocess.DEVNULL)
    try:
        until_it_answers(port)
        yield port
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def proxy(server, tmp_path_factory):
    """Port of nginx with our configuration in front of the server."""
    if shutil.which("nginx") is None:
        pytest.skip("needs nginx")
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    text = (DEPLOY / "nginx.conf").read_text()
    for old, new in (
        ("server server:8000", f"server 127.0.0.1:{server}"),
        ("listen 8080", f"listen 127.0.0.1:{port}"),
        ("/tmp/", f"{folder}/"),
        ("worker_processes auto;", "worker_processes 1;"),
    ):
        assert old in text
        text = text.replace(old, new)
    (folder / "nginx.conf").write_text(text)
    command = ["nginx", "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    subprocess.run([*command, "-t", "-q"], check=True)
    process = subprocess.Popen([*command, "-g", "daemon off;"])
    try:
        until_it_answers(port)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def ask(port, path, data=None, **headers):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_nginx_hands_requests_on(server, proxy):
    condition = {"examples": {"x": [[0.1], [0.5]], "y": [[0.2], [0.4]]}}
    body = json.dumps({"hypernetwork": "sine", "condition": condition, "x": [[0.3]]}).encode()
    headers = {"Content-Type": "application/json"}
    status, answer = ask(proxy, "/v1/predict", body, **headers)
    assert status == 200, answer
    directly = json.loads(ask(server, "/v1/predict", body, **headers)[1])
    assert json.loads(answer)["outputs"] == directly["outputs"]
    # A page's own requests come through, those of another page do not.
    assert ask(proxy, "/v1/hypernetworks", Origin=f"http://127.0.0.1:{proxy}")[0] == 200
    assert ask(proxy, "/v1/hypernetworks", Origin="http://elsewhere")[0] == 403


def test_nginx_keeps_numbers_inside_and_long_bodies_outside(proxy):
    assert ask(proxy, "/metrics")[0] == 404
    assert ask(proxy, "/v1/predict", bytes(17_000_000))[0] == 413


_UNDER_RAY = """
import importlib.util, sys, urllib.request
import ray
from ray import serve
ray.init(num_cpus=2, include_dashboard=False, configure_logging=False)
spec = importlib.util.spec_from_file_location("under_ray", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
serve.start(http_options={"port": int(sys.argv[2])})
serve.run(module.app, route_prefix="/")
headers = {"Content-Type": "application/json", "Authorization": "Bearer " + sys.argv[3]}
request = urllib.request.Request(f"http://127.0.0.1:{sys.argv[2]}/v1/predict", sys.argv[4].encode(), headers)
print("ANSWER", urllib.request.urlopen(request, timeout=60).read().decode())
serve.shutdown()
ray.shutdown()
"""


@pytest.mark.slow
def test_the_application_runs_under_ray(sine, tmp_path):
    pytest.importorskip("ray", reason="needs the extra `dist`")
    from netwright.serving.tokens import new_token

    token = new_token(tmp_path / "tokens.json", "me")
    condition = {"examples": {"x": [[0.1], [0.5]], "y": [[0.2], [0.4]]}}
    body = json.dumps({"hypernetwork": "sine", "condition": condition, "x": [[0.3]]})
    (tmp_path / "program.py").write_text(_UNDER_RAY)
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py", DEPLOY / "ray" / "app.py", str(free_port()), token, body],
        env={
            **os.environ,
            "NETWRIGHT_RUNS": str(sine),
            "NETWRIGHT_TOKENS": str(tmp_path / "tokens.json"),
            "NETWRIGHT_REGISTRY": f"sqlite:///{tmp_path}/registry.db",
            "NETWRIGHT_ARTIFACTS": str(tmp_path / "artifacts"),
        },
        capture_output=True, text=True, timeout=240, check=True,
    )  # fmt: skip
    (answer,) = [line for line in done.stdout.splitlines() if line.startswith("ANSWER ")]
    assert len(json.loads(answer.removeprefix("ANSWER "))["outputs"]) == 1


def test_the_application_under_ray_is_made_of_what_the_server_has():
    tree = ast.parse((DEPLOY / "ray" / "app.py").read_text())
    calls = [
        n
        for n in ast.walk(tree)
        if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "application"
    ]
    (call,) = calls
    known = inspect.signature(serving.application).parameters
    assert {keyword.arg for keyword in call.keywords} <= set(known)
    assert {"token_file", "registry", "artifacts"} <= {keyword.arg for keyword in call.keywords}
