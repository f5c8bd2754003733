"""PyAV's and decord's part of the benchmark in decode.ts: exact random clips, one file opened per clip."""
import json
import multiprocessing
import sys
import time

import numpy as np


def numbers(clip, bits):
    """The numbers that frames [T, H, W, 3] show along row 16."""
    columns = ((np.arange(bits) + 0.5) * clip.shape[2] / bits).astype(int)
    return ((clip[:, 16, columns, 0] > 127) @ (1 << np.arange(bits))).tolist()


def with_av(task):
    import av

    with av.open(task["file"]) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        rate = stream.average_rate
        wanted = task["wanted"]
        begin = stream.start_time or 0
        container.seek(begin + int(wanted[0] / rate / stream.time_base), stream=stream, backward=True)
        found = {}
        for frame in container.decode(stream):
            number = round((frame.pts - begin) * stream.time_base * rate)
            if number in wanted:
                found[number] = frame.to_ndarray(format="rgb24")
            if number >= wanted[-1]:
                break
        return np.stack([found[number] for number in wanted])


def with_decord(task):
    import decord

    reader = decord.VideoReader(task["file"], num_threads=1)
    return reader.get_batch(task["wanted"]).asnumpy()


def work(job):
    name, task, bits = job
    used = time.process_time()
    result = numbers({"av": with_av, "decord": with_decord}[name](task), bits)
    return result, time.process_time() - used


if __name__ == "__main__":
    name, jobs = sys.argv[1], int(sys.argv[2])
    asked = json.load(sys.stdin)
    todo = [(name, task, asked["bits"]) for task in asked["tasks"]]
    with multiprocessing.Pool(jobs) as pool:
        pool.map(work, todo[:jobs])  # imports are not timed
        started = time.perf_counter()
        result = pool.map(work, todo, chunksize=1)
        seconds = time.perf_counter() - started
    clips, used = zip(*result)
    print(json.dumps({"seconds": seconds, "cpuSeconds": sum(used), "numbers": clips}))
