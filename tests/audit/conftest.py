"""The end of a busy run, made once, for each test anew."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mm.store import execute
from tests.kit import Fake, World, fake_backend
from tests.kit.breaks import set_field
from tests.kit.busy import Recording, busy_config, commands_of, run_busy


@pytest.fixture(scope="package")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """One busy run, made once: archived in its midst and at its end, and trimmed."""
    directory = tmp_path_factory.mktemp("recording")
    with fake_backend() as backend:
        world = World(backend, busy_config())
        world.admit("c1")
        run_busy(world, rounds=20)
        world.archive(directory)
        run_busy(world, rounds=20, seed=2)
        path = world.archive(directory)
        return Recording(world.now_ms(), commands_of(world), path)


@pytest.fixture
def busy(fake: Fake, recording: Recording, tmp_path: Path) -> World:
    """Three symbols after a busy run, at rest, with quotes standing, and an own archive."""
    fake.set_ms(recording.now_ms)
    world = World(fake, busy_config(), setup=False)
    pipeline = world.client.pipeline(transaction=False)
    for words in recording.commands:
        execute(pipeline, *words)
    pipeline.execute()
    set_field(world, "archive", None, "file", str(shutil.copy(recording.archive, tmp_path)))
    return world
