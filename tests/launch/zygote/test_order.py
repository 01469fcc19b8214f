import os
import resource
import socket
import sys
from pathlib import Path

import pytest

from launch.zygote.order import own_order, receive, send


def test_an_order_arrives_with_the_streams_of_its_sender() -> None:
    here, there = socket.socketpair()
    order = own_order(["worker.py", "--note=ä b"])
    with here, there:
        send(here, order)
        arrived, streams = receive(there)
    assert arrived["command"] == ["worker.py", "--note=ä b"]
    assert arrived["environment"] == dict(os.environ)
    assert (arrived["python"], arrived["folder"]) == (sys.executable, str(Path.cwd()))
    assert tuple(arrived["open_files"]) == resource.getrlimit(resource.RLIMIT_NOFILE)
    own = [os.fstat(number) for number in (0, 1, 2)]
    assert [(each.st_dev, each.st_ino) for each in map(os.fstat, streams)] == [
        (each.st_dev, each.st_ino) for each in own
    ]
    for stream in streams:
        os.close(stream)


def test_half_an_order_is_none() -> None:
    here, there = socket.socketpair()
    send(here, own_order(["worker.py"]))
    sent = there.recv(40)  # what is left is shorter than it says
    here.close()
    assert sent
    with there, pytest.raises((ConnectionError, ValueError)):
        receive(there)
