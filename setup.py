"""Maps folders to packages: pkpd/ is `pkpd`, models/ ships as `pkpd.models`. Everything else about the build is in pyproject.toml."""

from setuptools import find_packages, setup

LIBRARY = find_packages(include=["pkpd", "pkpd.*"])
MODELS = [f"pkpd.{name}" for name in find_packages(include=["models", "models.*"])]

setup(packages=LIBRARY + MODELS, package_dir={"pkpd.models": "models"})
