import os
from pathlib import Path

import av
import pytest

from blurdm_cli.video.codecs import ordinary_priority, takes


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="Linux has these priorities")
def test_no_encoder_takes_the_processor_from_other_work() -> None:
    context = av.CodecContext.create("libsvtav1", "w")
    context.width = context.height = 64
    context.pix_fmt, context.framerate = "yuv420p", 25
    with ordinary_priority():
        context.open()
    threads = [int(name) for name in os.listdir("/proc/self/task")]
    assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_OTHER}
    assert takes("mp4", "libsvtav1")
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
