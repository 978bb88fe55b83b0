"""What every grading needs, imported and read once: the fork server loads this (see forked.py)."""

import aiohttp.web
import jwt
import pytest
import pytest_asyncio.plugin
import redis.asyncio
import socketio
import websockets.asyncio.client

import course.check
import tests.harness.plugin
from course import catalogue

__all__ = [
    "aiohttp",
    "course",
    "jwt",
    "pytest",
    "pytest_asyncio",
    "redis",
    "socketio",
    "tests",
    "websockets",
]
catalogue.modules()
