"""What a person gets by installing: nothing missing, nothing heavy at import, nothing of this machine."""

import ast
import collections
import configparser
import importlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile

import packaging.requirements
import pytest
from conftest import ROOT

import tf_tickets

MODULES = sorted((ROOT / "tf_tickets").rglob("*.py"))
LIGHT = [
    "tf_tickets", "tf_tickets.settings.cli", "tf_tickets.settings.config", "tf_tickets.errors",
    "tf_tickets.sweeps.grid",
    "tf_tickets.experiments.plan", "tf_tickets.sweeps.sweep",
    "tf_tickets.export.verify", "tf_tickets.settings.flagfiles", "tf_tickets.main", "tf_tickets.models.architecture",
    "tf_tickets.models.families",
    "tf_tickets.pruning.masks", "tf_tickets.report.command", "tf_tickets.report.sweeps",
    "tf_tickets.runs", "tf_tickets.seeds",
]  # fmt: skip
HEAVY = {
    "keras", "keras_core", "keras_cv", "tensorflow", "tensorflow_datasets", "tensorflow_model_optimization", "tf_keras",
}  # fmt: skip
# What --help and refusals do without, beyond that; the last brings Python's mail with it.
SLOW = {
    "PIL", "h5py", "matplotlib", "numpy", "pandas", "requests", "safetensors", "scipy", "sklearn", "tifffile", "email",
}  # fmt: skip
# The first two set TensorFlow up; that is what they are for. The others let themselves be called.
ACTING = {
    "tf_tickets/__init__.py", "tf_tickets/backend.py",
    "tf_tickets/advise/__init__.py", "tf_tickets/export/__init__.py", "tf_tickets/report/__init__.py",
}  # fmt: skip


def relative(path):
    return path.relative_to(ROOT).as_posix()


def python(code, **environment):
    """Runs code in a process of its own that has not heard of legacy Keras."""
    kept = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, env=kept | environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def settings():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def requirement_names(text):
    return {re.match(r"[\w.-]+", line)[0].lower().replace("_", "-") for line in text.split("\n") if line.strip()}


def tracked_files():
    """What a commit would hold: tracked files, and new ones that git does not ignore."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("no git checkout")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("folder", [".venv", "runs", "data", "redrawn"])
def test_folders_that_the_pages_make_are_ignored(folder):
    tracked_files()  # skips without a checkout
    assert any(folder in page.read_text() for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
    assert subprocess.run(["git", "check-ignore", "-q", f"{folder}/file"], cwd=ROOT, check=False).returncode == 0


def test_light_modules_import_no_tensorflow():
    code = f"import importlib, sys\nfor name in {LIGHT}:\n    importlib.import_module(name)\n"
    done = python(code + f"print(sorted({HEAVY} & set(sys.modules)), sys.modules['tf_tickets'].__version__)")
    assert (done.stdout, done.stderr) == (f"[] {tf_tickets.__version__}\n", "")


@pytest.mark.parametrize(("words", "status", "allowed"), [
    ("--help", 0, set()), ("--nope=1", 2, set()), ("--criterion=nope", 2, set()), ("verify", 2, set()),
    ("--dataset=digits --dry_run", 0, {"numpy", "safetensors"}),
])  # fmt: skip
def test_what_is_said_at_once_imports_little(words, status, allowed, tmp_path):
    code = (
        "import atexit, sys\n"
        "from tf_tickets import main\n"
        "atexit.register(lambda: print(*sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr))\n"
        f"sys.argv[1:] = {[*words.split(), f'--out={tmp_path}']}\n"
        "main.entry_point()"
    )
    done = python(code)
    assert done.returncode == status, done.stderr
    assert set(done.stderr.strip().split("\n")[-1].split()) & (HEAVY | SLOW) == allowed


def test_a_lazy_module_is_pickled_without_being_imported():
    done = python(
        "import pickle, sys\n"
        "from tf_tickets.lazy_modules import np\n"
        "copied = pickle.loads(pickle.dumps(np))\n"
        "assert 'numpy' not in sys.modules\n"
        "print(copied.arange(3).sum())"
    )
    assert (done.stdout, done.stderr) == ("3\n", "")


def test_version_can_be_read_without_running_anything(settings):
    assert settings["metadata"]["version"] == "attr: tf_tickets.__version__"
    tree = ast.parse((ROOT / "tf_tickets" / "__init__.py").read_text())
    written = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__"
    ]
    assert written == [tf_tickets.__version__]
    assert re.fullmatch(r"\d+\.\d+\.\d+", tf_tickets.__version__)


def defines_names(node):
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.If):
        types_alone = ast.unparse(node.test) == "typing.TYPE_CHECKING" and all(map(defines_names, node.body))
        return types_alone or ast.unparse(node.test) == "__name__ == '__main__'"
    return isinstance(node, ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign | ast.FunctionDef | ast.ClassDef)


def test_modules_define_names_and_do_nothing_else():
    acting = [
        (relative(path), ast.unparse(node))
        for path in MODULES
        if relative(path) not in ACTING
        for node in ast.parse(path.read_text()).body
        if not defines_names(node)
    ]
    assert not acting


def test_modules_fit_on_a_few_screens():
    lines = {relative(path): len(path.read_text().splitlines()) for path in MODULES}
    assert not {name: count for name, count in lines.items() if count > 300}


def test_packages_are_all_of_tf_tickets_and_the_recipes(settings):
    packages = settings["options"]["packages"].split()
    of_python = {relative(path.parent).replace("/", ".") for path in MODULES}
    assert packages == sorted({*of_python, "tf_tickets.flags"})
    assert settings["options"]["package_dir"].split() == ["tf_tickets.flags", "=", "flags"]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The paths of a wheel of a checkout, of an sdist, and of a wheel of that sdist; built without a network."""
    folder = tmp_path_factory.mktemp("built")
    for path in tracked_files():
        if path.parent == ROOT or relative(path).split("/")[0] in ("tf_tickets", "flags"):
            (folder / "checkout" / relative(path)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / "checkout" / relative(path))

    def build(source, kind):
        code = f"from setuptools import build_meta\nprint(build_meta.build_{kind}({str(folder / source)!r} + '.built'))"
        done = subprocess.run([sys.executable, "-c", code], cwd=folder / source, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return folder / f"{source}.built" / done.stdout.split()[-1]

    wheel, sdist = build("checkout", "wheel"), build("checkout", "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return wheel, sdist, build(sdist.name.removesuffix(".tar.gz"), "wheel")


def test_wheel_and_sdist_hold_every_file_of_the_program_and_its_recipes(built):
    def contents(path):
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}

    wheel, from_sdist = contents(built[0]), contents(built[2])
    expected = {relative(path): path.read_bytes() for path in tracked_files() if ROOT / "tf_tickets" in path.parents}
    expected |= {f"tf_tickets/flags/{path.name}": path.read_bytes() for path in (ROOT / "flags").iterdir()}
    assert wheel == from_sdist == expected
    assert f"-{tf_tickets.__version__}" in built[0].name and f"-{tf_tickets.__version__}" in built[1].name


def test_what_is_installed_finds_its_recipes_by_name_from_any_folder(built, tmp_path):
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target"]
    subprocess.run([*install, tmp_path / "installed", built[0]], check=True, capture_output=True)
    recipes = tmp_path / "installed" / "tf_tickets" / "flags"
    (tmp_path / "elsewhere").mkdir()

    def run(*words):
        command = [sys.executable, "-m", "tf_tickets.main", *words]
        environment = os.environ | {"PYTHONPATH": str(tmp_path / "installed")}
        folder = tmp_path / "elsewhere"
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)

    listed = run("--help=recipes")
    assert listed.returncode == 0 and all(path.name in listed.stdout for path in (ROOT / "flags").iterdir())
    by_name, in_folder = (run(f"--flagfile={folder}quickstart.cfg", "--dry_run") for folder in ("", "flags/"))
    assert by_name.stdout == in_folder.stdout and "digits: 100 training images" in by_name.stdout, by_name.stderr
    nested = run("--flagfile=cifar10_1pct_rand_cpu.cfg", "--dry_run")
    assert (nested.returncode, nested.stderr) == (0, "") and "width 16" in nested.stdout
    swept = run("sweep", "--flagfile=rivals.cfg", "--sweep=flags/rivals.sweep", "--dry_run")
    assert (swept.returncode, swept.stderr) == (0, "") and swept.stdout.count("/seed_") == 48
    missing = run("--flagfile=quikstart.cfg", "--dry_run")
    assert missing.returncode == 2 and missing.stderr.count("\n") == 1
    assert str(recipes) in missing.stderr and "did you mean quickstart.cfg?" in missing.stderr
    assert not (tmp_path / "elsewhere" / "runs").exists()


# Used where the user has it: the runtime's compiled kernel, ONNX and clusters are extras.
OPTIONAL = {"numba", "onnx", "onnxruntime", "ray"}


def distributions_by_package():
    """Package -> distributions that install it. Python 3.10's packages_distributions knows only those that say so."""
    found = collections.defaultdict(set)
    for distribution in importlib.metadata.distributions():
        said = (distribution.read_text("top_level.txt") or "").split()
        for top in {*said, *(path.parts[0].removesuffix(".py") for path in distribution.files or ())}:
            found[top].add(distribution.metadata["Name"])
    return found


def test_every_imported_package_is_required(settings):
    required = requirement_names(settings["options"]["install_requires"])
    providers = distributions_by_package()
    missing = set()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            for top in {name.split(".")[0] for name in names} - {"tf_tickets", *OPTIONAL} - sys.stdlib_module_names:
                found = {name.lower().replace("_", "-") for name in providers[top]}
                if not found & required:
                    missing.add((relative(path), top))
    assert not missing


def test_requirements_have_upper_bounds(settings):
    lines = settings["options"]["install_requires"].split("\n")
    lines += [line for extra in settings["options.extras_require"].values() for line in extra.split("\n")]
    bounded = r"[\w.\[\]-]+>=[\d.]+,<[\d.]+(; (sys_platform|platform_machine) .+)?"
    assert not [line for line in lines if line and not re.fullmatch(bounded, line)]
    assert all(extra.strip() for extra in settings["options.extras_require"].values())


def test_the_lock_holds_every_requirement_with_hashes_and_no_address(settings):
    text = (ROOT / "requirements.lock").read_text()
    entries = re.split(r"\n(?=[a-z0-9])", re.sub(r"(?m)^ *#.*\n", "", text).strip())
    pinned = {}
    for entry in entries:
        name, version = re.match(r"([\w.-]+)==([\w.!+]+)", entry).groups()
        assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", entry)) >= 1, name
        pinned.setdefault(name.lower().replace("_", "-"), []).append(version)
    assert "://" not in text and "--index" not in text and "--find" not in text
    lines = settings["options"]["install_requires"].split("\n")
    for extra in ("test", "compiled"):
        lines += settings["options.extras_require"][extra].split("\n")
    for line in filter(None, lines):
        requirement = packaging.requirements.Requirement(line)
        versions = pinned[requirement.name.lower().replace("_", "-")]
        assert all(requirement.specifier.contains(version) for version in versions), line


def test_console_script_points_at_a_function(settings):
    name, target = (part.strip() for part in settings["options.entry_points"]["console_scripts"].strip().split("="))
    module, function = target.split(":")
    assert name == "tf-tickets"
    assert callable(getattr(importlib.import_module(module), function))


def test_no_file_names_a_folder_of_some_machine():
    folder = re.compile(rb"(?<![\w.}/-])/(work|root|home|Users|opt/wheels|opt/pypi)/[\w.-]")
    assert not [relative(path) for path in tracked_files() if folder.search(path.read_bytes())]


def test_pyproject_is_a_stub_and_the_licence_is_whole():
    headings = [line for line in (ROOT / "pyproject.toml").read_text().split("\n") if line.startswith("[")]
    assert headings == ["[build-system]"]
    licence = (ROOT / "LICENSE").read_text()
    assert "Apache License" in licence and "END OF TERMS AND CONDITIONS" in licence
