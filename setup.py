from __future__ import annotations

import ast
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
SHIPPED = ("configs", "tools", "requirements")


class BuildWithConfigs(build_py):
    """Put configs, tools and requirements into ``equikpt/.mim``, as OpenMMLab's wheels do.

    They are copied into the build folder only: a copy in the source tree would go stale there and
    be found before the real one.
    """

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        shutil.rmtree(self._mim, ignore_errors=True)  # what an earlier build left is stale
        for source, target in self._shipped_files():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            shutil.copymode(source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        outputs = super().get_outputs(include_bytecode)
        if self.editable_mode:
            return outputs
        return outputs + [str(target) for _, target in self._shipped_files()]

    @property
    def _mim(self) -> Path:
        return Path(self.build_lib) / "equikpt" / ".mim"

    def _shipped_files(self) -> list[tuple[Path, Path]]:
        return [
            (file, self._mim / file.relative_to(HERE))
            for folder in SHIPPED
            for file in sorted((HERE / folder).rglob("*"))
            if file.is_file() and "__pycache__" not in file.parts
        ]


def read_version() -> str:
    """``__version__`` as written in the runtime, whose version is this package's as well."""
    source = HERE / "runtime" / "equikpt_runtime" / "__init__.py"
    tree = ast.parse(source.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__version__":
            return ast.literal_eval(node.value)
    raise RuntimeError(f"expected a line `__version__ = ...` in {source}, found none")


def read_requirements(name: str) -> list[str]:
    """The lines of ``requirements/NAME.txt`` without comments."""
    text = (HERE / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    lines = (line.split(" #")[0].strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


readme = HERE / "README.md"

setup(
    name="equikpt",
    version=read_version(),
    description="Keypoint models that small labelled sets can train, as MMPose modules and configs",
    long_description=readme.read_text(encoding="utf-8") if readme.is_file() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "Operating System :: MacOS",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
    python_requires=">=3.10",
    packages=find_packages(include=["equikpt", "equikpt.*"]),
    include_package_data=True,
    package_data={
        "equikpt": ["py.typed"],
        "equikpt.export": ["web/*"],
        "equikpt.report.html.templates": ["*.j2", "*.css", "*.js"],
        "": ["*.pyi"],
    },
    entry_points={"console_scripts": ["equikpt = equikpt.__main__:console"]},
    # Without the packages of mmstack.txt: mmpose's metadata asks for chumpy, which no longer
    # builds, and mmcv's for a second OpenCV. They go in with `pip install --no-deps`, xtcocotools
    # from source; setup.sh does both, and `python -m equikpt doctor` names what is missing.
    install_requires=[
        *read_requirements("torch"),
        *read_requirements("runtime"),
        f"equikpt-runtime=={read_version()}",
    ],
    extras_require={
        name: read_requirements(name)
        for name in (
            "cluster",
            "dev",
            "dicom",
            "docs",
            "export",
            "formats",
            "mmdet",
            "timm",
            "wandb",
        )
    },
    cmdclass={"build_py": BuildWithConfigs},
    zip_safe=False,
)
