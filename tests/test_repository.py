"""The documents are true of the repository: every file is listed, every link leads somewhere, every command exists."""

import ast
import functools
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from phloem.version import VERSION
from tests.support.science_page import PAGE as SCIENCE
from tests.support.science_page import written_anew
from tests.support.structure_page import MARK, PAGE, listing

ROOT = Path(__file__).parents[1]
CODE = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("phloem", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
    if path.name != "__init__.py"
)
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "benchmarks/RESULTS.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
LINKED = [*DOCUMENTS, ROOT / "CHANGELOG.md", ROOT / "benchmarks/precision.md"]
"""Documents whose links are followed; the changelog also names what has gone since."""


def test_structure_lists_every_file_with_its_first_line():
    listed = PAGE.read_text().partition(MARK)[2].strip()
    assert listed == listing().strip(), "python -m tests.support.structure_page writes it anew"
    assert sorted(re.findall(r"^- `(.+?)`", listed, re.M)) == CODE


def test_the_tables_of_the_science_page_are_those_of_the_program():
    page = SCIENCE.read_text()
    assert page == written_anew(page), "python -m tests.support.science_page writes them anew"


@functools.cache
def _anchors(document):
    """Return the anchors of a document's headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", document.read_text(), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _leads_somewhere(link, document):
    name, _, anchor = link.partition("#")
    file = (document.parent / name).resolve() if name else document
    return file.exists() and (not anchor or anchor in _anchors(file))


@pytest.mark.parametrize("document", LINKED, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings(document):
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()) if "://" not in link]
    assert [link for link in links if not _leads_somewhere(link, document)] == []


def test_docstrings_and_comments_name_pages_and_headings_that_are_there():
    programs = [path for name in ("phloem", "benchmarks", "tests", "examples") for path in (ROOT / name).rglob("*.py")]
    pages = [(path, page) for path in programs for page in re.findall(r"\bdocs/\w+\.md(?:#[\w-]+)?", path.read_text())]
    assert len(pages) > 50
    assert [(path.name, page) for path, page in pages if not _leads_somewhere(page, ROOT / "README.md")] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_of_the_repository_that_a_document_names_are_there(document):
    """A name may leave out the first folders, as `fold_cpu.c` does."""
    folders = ("phloem", "benchmarks", "tests", "examples", "docs", ".ci")
    files = {f"/{path.relative_to(ROOT).as_posix()}" for name in folders for path in (ROOT / name).rglob("*")}
    named = re.findall(r"`([\w./-]+\.(?:py|c|js))`", document.read_text())
    named += re.findall(r"`((?:phloem|benchmarks|tests|examples|docs)/[\w./-]*\w)/?`", document.read_text())
    assert [name for name in named if not any(file.endswith(f"/{name}") for file in files)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_modules_that_a_document_names_are_there(document):
    names = re.findall(r"\b((?:phloem|benchmarks|tests)(?:\.[a-z_]\w*)+)", document.read_text())
    missing = []
    for name in names:
        parts = name.split(".")
        # The last word may be a thing in a module, or an attribute of one that is public.
        places = [ROOT.joinpath(*parts[:n]) for n in (len(parts), len(parts) - 1)]
        if not any(place.with_suffix(".py").exists() or (place / "__init__.py").exists() for place in places):
            missing.append(name)
    assert missing == []


def test_readme_names_every_command_and_no_other():
    shown = subprocess.run(
        [Path(sys.executable).with_name("phloem"), "--help"], capture_output=True, text=True, check=True
    ).stdout
    commands = set(re.findall(r"^  ([a-z]+)  ", shown, re.M))
    table = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("| `")]
    named = {name for line in table for name in re.findall(r"`([a-z]+)`", line.split("|")[1])}
    assert named == commands
    assert len(commands) == 20


def _dependencies():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    return [Requirement(text) for text in (*project["dependencies"], *(name for extra in extras for name in extra))]


def _pins():
    lines = (ROOT / "constraints.txt").read_text().split()
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


@pytest.mark.parametrize("dependency", _dependencies(), ids=lambda one: one.name)
def test_a_dependency_has_a_lower_bound_and_a_pin_within_its_bounds(dependency):
    assert [one for one in dependency.specifier if one.operator == ">="], "a tested lower bound is due"
    assert dependency.specifier.contains(_pins()[canonicalize_name(dependency.name)])


def test_jax_is_bounded_to_the_versions_that_are_tested():
    for jax in (one for one in _dependencies() if one.name == "jax"):
        assert not jax.specifier.contains("0.13.0")
        assert not jax.specifier.contains("0.9.2")
        assert jax.specifier.contains("0.10.0")
        assert jax.specifier.contains("0.12.0.1")


def test_every_import_of_the_package_is_a_dependency():
    called = {
        "sklearn": "scikit-learn",
        "pydantic_core": "pydantic",
        "xgboost": "xgboost-cpu",
        "pynvml": "nvidia-ml-py",
    }
    wanted = {canonicalize_name(one.name) for one in _dependencies()}
    imported = set()
    for name in (name for name in CODE if name.startswith("phloem/")):
        for node in ast.walk(ast.parse((ROOT / name).read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.partition(".")[0])
    others = imported - set(sys.stdlib_module_names) - {"phloem"}
    assert {canonicalize_name(called.get(name, name)) for name in others} <= wanted


@functools.cache
def _nodes(name):
    """Return all parts of a program but its texts of several words, which docstrings are."""
    return [node for node in ast.walk(ast.parse((ROOT / name).read_text())) if not _is_text(node)]


def _is_ceiling(node):
    """Whether a node is -(-a // b)."""
    return (
        isinstance(node, ast.UnaryOp)
        and isinstance(node.op, ast.USub)
        and isinstance(node.operand, ast.BinOp)
        and isinstance(node.operand.op, ast.FloorDiv)
        and isinstance(node.operand.left, ast.UnaryOp)
        and isinstance(node.operand.left.op, ast.USub)
    )


def _is_number(node, low, high):
    return isinstance(node, ast.Constant) and isinstance(node.value, float | int) and low <= node.value <= high


FACTS = {
    "a quotient rounded up": ("phloem/arithmetic.py", _is_ceiling),
    "the days of a year": ("phloem/names.py", lambda node: _is_number(node, 365.25, 365.25)),
    "the Earth's radius": ("phloem/io/grids/placed_cells.py", lambda node: _is_number(node, 6.3e6, 6.4e6)),
    "the conventions": (
        "phloem/io/files/netcdf.py",
        lambda node: isinstance(node, ast.Constant) and str(node.value).startswith("CF-1."),
    ),
    "the mass of carbon in CO2": ("phloem/io/files/units.py", lambda node: "12.011" in str(getattr(node, "value", ""))),
}
"""Where a fact stands, and how it is told in a program."""


@pytest.mark.parametrize("fact", FACTS)
def test_a_fact_has_one_place(fact):
    home, told = FACTS[fact]
    assert {name for name in CODE if any(map(told, _nodes(name)))} == {home}


def _is_text(node):
    """Whether a node is a docstring or another text of several words."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value


def test_a_class_name_is_defined_once():
    definitions = {}
    for name in CODE:
        for node in ast.parse((ROOT / name).read_text()).body:
            if isinstance(node, ast.ClassDef):
                definitions.setdefault(node.name, []).append(name)
    assert len(definitions) > 200
    assert {name: files for name, files in definitions.items() if len(files) > 1} == {}


def test_the_citation_has_the_version_and_licence_of_the_package():
    lines = (ROOT / "CITATION.cff").read_text().splitlines()
    cited = dict(line.split(": ", 1) for line in lines if re.match(r"[a-z-]+: \S", line))
    assert cited["version"] == VERSION
    assert cited["license"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"]["text"]
    assert cited["cff-version"] == "1.2.0"
    assert {"message", "title", "type"} <= cited.keys()
    assert "  - name: The phloem developers" in lines


def test_the_notice_names_all_data_that_is_shipped():
    own = {".py", ".c", ".cu", ".toml", ".html", ".js", ".css"}
    shipped = (path for path in (ROOT / "phloem").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    data = {path.relative_to(ROOT).as_posix() for path in shipped if path.suffix not in own}
    named = set(re.findall(r"^(phloem/\S+)$", (ROOT / "NOTICE").read_text(), re.M))
    assert named == data != set()
