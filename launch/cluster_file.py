"""Writes the commands of cluster.yaml: `python -m launch.cluster_file`.

What stands above the mark there is the operator's: machines, disks, network. What stands below it
is how a node is made and started, from the same source as on one machine.
"""

from dataclasses import dataclass
from pathlib import Path
from textwrap import indent, wrap

from launch import front, ray_variables
from launch.front.servers import FOLDER_VARIABLE

FILE = Path("cluster.yaml")
MARK = "# --- From here on written by `make generate` from launch/cluster_file.py ---\n"
SECRETS = "~/ballast.env"
ENVIRONMENT = "~/ballast/environment.sh"
COMMANDS = "~/ballast/.venv/bin"
WIDTH = 90
WITH_ENVIRONMENT = f". {ENVIRONMENT} && "


@dataclass(frozen=True, slots=True)
class Command:
    """One shell command of a node, which Ray runs in a login shell of bash."""

    shell: str
    why: str = ""


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in wrap(text, WIDTH)]


def environment_file() -> str:
    """Give what the shell of a node reads before it starts anything."""
    lines = [*_comment("The front bounds its connections by this."), "ulimit -n 65536"]
    lines += [*_comment("Decisions, logs and sockets are this user's alone."), "umask 077"]
    lines += ["set -a", f". {SECRETS}"]
    variables = ray_variables.on_a_cluster((*ray_variables.BEFORE_RAY, *ray_variables.AT_START))
    for each in variables:
        lines += [*_comment(each.why), f"{each.name}={each.cluster}"]
    return "\n".join([*lines, "set +a"])


SETUP = (
    Command(f"chmod 600 {SECRETS}"),
    Command(
        "mkdir -p ~/.ballast/models && chmod 700 ~/.ballast",
        "The models' files are shared; spool and logs stay on the node's own disk, beside them.",
    ),
    Command(
        f". {SECRETS} && {{ mountpoint -q ~/.ballast/models ||\n"
        'sudo mount -t nfs4 "$MODELS_SHARE" ~/.ballast/models; }',
    ),
    Command("~/ballast/scripts/install"),
    Command(
        f"cat > {ENVIRONMENT} <<'END'\n{environment_file()}\nEND",
        "What Ray, Serve and every replica must find in their environment when the node starts.",
    ),
)
HEAD_SETUP = (
    Command(
        f"{COMMANDS}/uv pip install --quiet --python {COMMANDS}/python 'boto3>=1.34'",
        "The head starts and ends workers by it.",
    ),
)
STOP = Command(f"{COMMANDS}/ray stop")
START_FRONT = Command(
    f"{WITH_ENVIRONMENT}mkdir -p -m 700 ${FOLDER_VARIABLE} &&\n"
    f"setsid -f {COMMANDS}/python -m {front.__name__}\n"
    f"< /dev/null >> ${FOLDER_VARIABLE}/front.log 2>&1",
    "The front of this node; it takes the place of the one that ran before.",
)
BOOTSTRAP = Command(
    f"{WITH_ENVIRONMENT}{COMMANDS}/ballast bootstrap",
    "The first time: a configuration, an admin key, history, a trained model. Later: nothing.",
)
HEAD_START = (
    STOP,
    Command(
        f"{WITH_ENVIRONMENT}{COMMANDS}/ray start --head --port=6379\n--dashboard-host=127.0.0.1 "
        "--autoscaling-config=~/ray_bootstrap_config.yaml"
    ),
    BOOTSTRAP,
    Command(
        f"{WITH_ENVIRONMENT}cd ~/ballast && .venv/bin/serve deploy serve_config.yaml",
        "What Serve itself opens stays on loopback, as the file says; gateways listen at their "
        "node's own address too, where the fronts of the other nodes find them.",
    ),
    START_FRONT,
)
WORKER_START = (
    STOP,
    Command(f"{WITH_ENVIRONMENT}{COMMANDS}/ray start --address=$RAY_HEAD_IP:6379"),
    START_FRONT,
)


def written() -> str:
    """Give the part of cluster.yaml that follows the mark."""
    sections = {
        "setup_commands": SETUP,
        "head_setup_commands": HEAD_SETUP,
        "head_start_ray_commands": HEAD_START,
        "worker_start_ray_commands": WORKER_START,
    }
    return "\n".join(
        f"{name}:\n{''.join(_item(each) for each in commands)}"
        for name, commands in sections.items()
    )


def renewed(content: str) -> str:
    """Give the whole file with its commands written anew."""
    own, mark, _ = content.partition(MARK)
    if not mark:
        raise ValueError(f"{FILE} has no line that says: {MARK.strip()}")
    return f"{own}{MARK}{written()}"


def main() -> None:
    FILE.write_text(renewed(FILE.read_text()))


def _item(command: Command) -> str:
    shell = command.shell
    if "\n" in shell:
        # A text that goes into a file needs its lines kept, the last one too, behind which Ray
        # puts a bracket.
        style = "|" if "<<'END'" in shell else ">-"
        shell = f"{style}\n{indent(shell, '  ')}"
    lines = [*_comment(command.why), f"- {shell}"]
    return indent("\n".join(lines), "  ") + "\n"


if __name__ == "__main__":
    main()
