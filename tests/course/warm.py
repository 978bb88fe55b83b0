"""What every grading needs, imported and read once: the fork server loads this (see forked.py)."""

import gc
from importlib import import_module

from course import catalogue, manifest

for grader in ("pytest", "pytest_asyncio.plugin", "course.check", "tests.harness.plugin"):
    import_module(grader)
for library in (
    *("aiohttp.web", "jwt", "redis.asyncio", "socketio", "socketio.admin", "logging.handlers"),
    *("engineio.async_drivers.aiohttp", "websockets.asyncio.client", "websockets.asyncio.server"),
):
    import_module(library)
catalogue.modules()
manifest.load()

# What is here now stays: a fork need not look through it for garbage, nor copy it to do so. And it
# lives for seconds: less searching for what little there is (nursery.py sets this back).
gc.collect()
gc.freeze()
gc.set_threshold(20_000)
