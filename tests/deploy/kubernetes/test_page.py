"""docs/how-to/kubernetes.md: what is typed is what kubectl takes, and deploys in order."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.deploy.kubernetes.api import Api, playing
from tests.deploy.kubernetes.manifests import KUBERNETES, Manifest, manifests
from tests.deploy.kubernetes.schemas import problems
from tests.deploy.kubernetes.write import KUBECTL, kustomize
from tests.docs.commands import click_problem, commands
from tests.docs.pages import DOCS, blocks, section_blocks

PAGE = DOCS / "how-to/kubernetes.md"
TYPED = [
    command.words
    for block in blocks(PAGE, "console")
    for command in commands(block.text)
    if command.words[0] == "kubectl"
]
YAML = [(block.text, yaml.safe_load(block.text)) for block in blocks(PAGE, "yaml")]
MANIFESTS = [block for _, block in YAML if isinstance(block, dict)]
(PATCH,) = (text for text, block in YAML if isinstance(block, list))
IN_A_POD = [words[words.index("--") + 1 :] for words in TYPED if "--" in words]
REFUSED = re.compile(r"127\.0\.0\.1:9( was refused|: connect: connection refused)")
NAMESPACE = KUBERNETES / "base/namespace.yaml"
(DEPLOY,) = section_blocks(PAGE, "5. Deploy", "console")


def kubectl(words: tuple[str, ...], folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the page in a folder, with options before what it runs in a pod."""
    at = words.index("--") if "--" in words else len(words)
    return subprocess.run(
        [str(KUBECTL), *words[1:at], *more, *words[at:]],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        input=NAMESPACE.read_text("utf-8"),  # of `apply -f -`
        env={"HOME": str(folder), "PATH": os.environ["PATH"]},
        cwd=folder,
    )


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the manifests, and with an overlay of the reader's own."""
    shutil.copytree(KUBERNETES, tmp_path / "deploy/kubernetes")
    overlays = tmp_path / "deploy/kubernetes/overlays"
    shutil.copytree(overlays / "production", overlays / "mine")
    shutil.copy(KUBERNETES / "secret.example.env", tmp_path / "identity.env")
    (tmp_path / "ca.pem").write_text("a certificate")
    return tmp_path


@pytest.fixture
def api() -> Iterator[Api]:
    with playing() as api:
        yield api


@pytest.mark.parametrize("block", MANIFESTS)
def test_a_manifest_of_the_page_fits_its_schema(block: Manifest) -> None:
    assert problems(block) == []


@pytest.mark.slow
def test_what_the_page_adds_to_an_overlay_is_in_its_rendered_form(clone: Path) -> None:
    mine = clone / "deploy/kubernetes/overlays/mine"
    file = mine / "kustomization.yaml"
    resources = [f"{block['metadata']['name']}.yaml" for block in MANIFESTS]
    for name, block in zip(resources, MANIFESTS, strict=True):
        (mine / name).write_text(yaml.safe_dump(block))
    text = file.read_text().rstrip("\n") + f"\n{PATCH}"
    text = text.replace(
        "  - ../../base\n", "".join(f"  - {name}\n" for name in ["../../base", *resources])
    )
    file.write_text(
        text.replace("components:\n", "components:\n  - ../../components/authorities\n")
    )
    made = list(yaml.safe_load_all(kustomize(mine)))
    assert [wrong for manifest in made for wrong in problems(manifest)] == []
    named = {f"{each['kind']} {each['metadata']['name']}": each for each in made}
    ingress = named["Ingress identity-web"]
    assert ingress["spec"]["ingressClassName"] == "traefik"
    assert ingress["metadata"]["annotations"].keys() == {"cert-manager.io/cluster-issuer"}
    assert named.keys() >= {"NetworkPolicy out-to-more", "Ingress identity-console"}
    assert all(each["metadata"].get("namespace") == "identity" for each in made[1:])
    for name in ("Deployment identity-web", "Deployment identity-worker", "Job identity-migrate"):
        mounts = named[name]["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
        assert [mount["mountPath"] for mount in mounts] == ["/tmp", "/authorities"]


@pytest.mark.parametrize("words", IN_A_POD, ids=" ".join)
def test_what_is_run_in_a_pod_is_a_command_of_the_product(words: tuple[str, ...]) -> None:
    assert words[0] == "identity"
    assert click_problem(words[1:]) is None


@pytest.mark.slow
@pytest.mark.parametrize("words", sorted(set(TYPED)), ids=" ".join)
def test_every_command_is_one_that_kubectl_takes(words: tuple[str, ...], clone: Path) -> None:
    """Nothing listens there: a command that kubectl understands fails at that."""
    words = tuple(word.replace("$HOME", str(clone)) for word in words)
    ran = kubectl(words, clone, "--server", "http://127.0.0.1:9")
    if words[1] == "kustomize" or "--dry-run=client" in words:
        assert ran.returncode == 0, ran.stderr
    else:
        assert REFUSED.search(ran.stderr), ran.stderr


@pytest.mark.slow
def test_an_option_that_kubectl_does_not_have_is_found(clone: Path) -> None:
    ran = kubectl(
        ("kubectl", "apply", "-k", "x", "--nosuch"), clone, "--server", "http://127.0.0.1:9"
    )
    assert not REFUSED.search(ran.stderr)


@pytest.mark.slow
@pytest.mark.parametrize("overlay", ["small", "production-keda"])
def test_a_deploy_migrates_before_anything_of_the_release_starts(
    overlay: str, api: Api, clone: Path
) -> None:
    mine = clone / "deploy/kubernetes/overlays/mine"
    shutil.rmtree(mine)
    shutil.copytree(mine.with_name(overlay), mine)
    for times in (1, 2):
        api.changes.clear()
        for command in commands(DEPLOY.text):
            options = ("--validate=false",) if command.words[1] == "apply" else ()
            ran = kubectl(command.words, clone, "--server", api.url, *options)
            assert ran.returncode == 0, f"{command.words}\n{ran.stdout}\n{ran.stderr}"
        assert api.changes.count("POST jobs/identity-migrate") == 1
        if times == 1:
            migrated = api.changes.index("POST jobs/identity-migrate")
            assert migrated < api.changes.index("POST deployments/identity-web")
            assert migrated < api.changes.index("POST deployments/identity-worker")
            assert len(api.changes) == len(manifests(overlay))
        else:
            # kubectl patches a budget even if it is the same.
            changes = [each for each in api.changes if "poddisruptionbudgets" not in each]
            assert changes == ["DELETE jobs/identity-migrate", "POST jobs/identity-migrate"]
