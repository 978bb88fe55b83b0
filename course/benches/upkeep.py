import argparse
from typing import Any


def add_options(parser: argparse.ArgumentParser) -> None: ...
def measure(options: argparse.Namespace, cores: list[int]) -> dict[str, Any]:
    return {}
