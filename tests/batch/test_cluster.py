"""Ray as the engine: the same results, on machines that come and go."""

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from small import RENDER, make_shapes, run, run_batch, tree

from backproject.batch.executors import CrashedError, OverdueError
from backproject.batch.job import attempt
from backproject.batch.warm import warm_up

ray = pytest.importorskip("ray", reason="Ray is not installed (extra `cluster`)")
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # of Ray's own files and sockets
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def cluster():
    """Two machines, as Ray's own tests make them: processes of this one, a CPU each."""
    from ray.cluster_utils import Cluster

    # their workers must find this file
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", path)
        made = Cluster()
        made.add_node(num_cpus=1, include_dashboard=False)
        second = made.add_node(num_cpus=1)
    made.wait_for_nodes()
    yield made, second
    made.shutdown()


def engine_at(cluster, **more):
    from backproject.batch.cluster import Cluster

    return Cluster(cluster[0].address, **more)


def crash():
    os.kill(os.getpid(), signal.SIGKILL)


def sleep(seconds):
    time.sleep(seconds)
    return seconds


def marked(marks, job):
    """Do a job a little more slowly, and tell where."""
    where = ray_node()
    (Path(marks) / f"{Path(job.input.name).name}-{where}").touch()
    time.sleep(0.05)
    return attempt(job)


def ray_node():
    """Return the machine, as Ray counts them: its raylet, which started the worker beside which
    this process is. Ray itself knows nothing of this process, so that it cannot be asked here.
    """
    return os.environ["RAY_RAYLET_PID"]


def test_a_node_is_killed_and_every_shape_still_arrives(cluster, tmp_path):
    shapes = make_shapes(tmp_path / "shapes", 60)
    (tmp_path / "marks").mkdir()
    run([shapes], tmp_path / "expected")
    killed = []

    def kill_one(tally, row):
        if row and not killed and tally.done >= 10:
            cluster[0].remove_node(cluster[1], allow_graceful=False)
            killed.append(tally.done)

    tally = run_batch(
        [str(shapes)],
        tmp_path / "out",
        RENDER,
        partial(engine_at, cluster, warm=partial(warm_up, RENDER)),
        do=partial(marked, str(tmp_path / "marks")),
        retries=3,
        listen=kill_one,
    )
    assert killed
    assert killed[0] < 60
    assert (tally.done, tally.failed) == (60, 0)
    machines = {mark.name.rpartition("-")[2] for mark in (tmp_path / "marks").iterdir()}
    assert len(machines) == 2, "both had work"
    assert tree(tmp_path / "out" / "shapes") == tree(tmp_path / "expected" / "shapes")


def test_crash_and_time_mean_the_same_as_on_one_machine(cluster):
    engine = engine_at(cluster, timeout=2.0, warm=partial(sleep, 0))
    try:
        assert engine.submit(sleep, 0.1).result() == 0.1
        with pytest.raises(CrashedError, match="signal 9"):
            engine.submit(crash).result()
        with pytest.raises(OverdueError, match="2 seconds"):
            engine.submit(sleep, 60).result()
        assert engine.submit(sleep, 0.2).result() == 0.2
        with pytest.raises(TypeError):
            engine.submit(sleep).result()
    finally:
        engine.shutdown()
