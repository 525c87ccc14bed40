"""``sr-gan COMMAND``, or ``python -m sr_gan COMMAND``: all commands of the package."""

import runpy
import sys

from sr_gan import __version__

COMMANDS = {
    "train": "trains a generator, or a sweep or a search of several",
    "prepare": "gets a photo collection and decodes it once, before training",
    "evaluate": "measures a model on folders of photographs",
    "upscale": "enlarges image files",
    "interpolate": "makes generators between two others, and compares them",
    "export": "writes a model for other programs, and proves that it runs there",
    "serve": "shows an exported page in a browser on this machine",
    "publish": "uploads a model and its card to the Hugging Face Hub",
    "report": "writes a page on one run, or on several and how they compare",
    "models": "lists the models that come with the package, and their speed here",
    "doctor": "says whether this machine and this folder are fit",
    "bench": "measures how fast training, data and upscaling are on this machine",
}


def main() -> None:
    """Runs the command that the first argument names; exits 1 where there is none."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in COMMANDS:
        sys.argv = [f"sr-gan {name}", *sys.argv[2:]]
        runpy.run_module(f"sr_gan.{name}", run_name="__main__", alter_sys=True)
        return
    if name == "--version":
        print(__version__)
        return
    lines = [f"  {command:13}{what}" for command, what in COMMANDS.items()]
    if name in ("-h", "--help"):
        print("sr-gan COMMAND [KEY=VALUE ...]\n", *lines, sep="\n")
        print("\nsr-gan COMMAND --help says what its settings are.")
        return
    sys.exit(f"error: {name} is not a command: choose one of {', '.join(COMMANDS)}")


if __name__ == "__main__":
    main()
