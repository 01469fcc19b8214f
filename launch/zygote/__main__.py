"""Run by `ballast up`: python -m launch.zygote SOCKET, ended by the end of its input."""

import gc
import sys
from pathlib import Path

from launch.zygote.fork_check import ForkCheck
from launch.zygote.order import Order
from launch.zygote.preload import Preload
from launch.zygote.worker import become, run
from launch.zygote.zygote import Fork, Zygote


def main() -> None:
    forked = _zygote(Path(sys.argv[1]))
    if forked is None:
        return
    become(forked.order, forked.streams)
    run(forked.order)


def _zygote(socket_path: Path) -> Fork | None:
    """Give what a fork is to do; None in the zygote itself, when it ends."""
    gc.disable()  # next to nothing of what is imported is garbage
    fork_check, preload = ForkCheck(), Preload()

    def accepts(order: Order) -> bool:
        return fork_check.allows(order) and preload.may_be_forked()

    zygote = Zygote(socket_path, sys.stdin.fileno(), accepts)
    try:
        preload.run(lambda: zygote.serve(0))
        while zygote.serve():
            continue
    except Fork as fork:
        return fork
    return None


if __name__ == "__main__":
    main()
