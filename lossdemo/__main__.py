"""The command as a process: `lossdemo`, and `python -m lossdemo`."""

import os
import sys

from lossdemo import interrupt


def run() -> None:
    """Run the command and leave with its exit code; 3 is a mistake of the command itself, or no room for its output."""
    handlers, handover, code = interrupt.install(), None, 0
    errors = [(stream, stream.errors) for stream in (sys.stdout, sys.stderr)]
    for stream, _ in errors:
        stream.reconfigure(errors="replace")  # pyrefly: ignore — what the terminal's encoding lacks becomes a ?
    try:
        from lossdemo.cli import main

        main(prog_name="lossdemo")
    except interrupt.Handover as raised:
        handover = raised
    except SystemExit as end:
        code = int(end.code or 0)
    except OSError as error:
        code = _broken(f"lossdemo: {error}")
    except Exception:
        import traceback

        code = _broken(traceback.format_exc())
    if handover:
        interrupt.uninstall(handlers)
        for stream, before in errors:
            stream.reconfigure(errors=before)  # pyrefly: ignore
        handover.run()
        return  # Python itself ends it, as it would without us
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = _broken(f"lossdemo: {error}")
    interrupt.leave(code)


def _broken(message: str) -> int:
    print(message, file=sys.stderr)
    return 3


if __name__ == "__main__":
    run()
