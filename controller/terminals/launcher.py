"""What stands between tmux and an agent: `python -I -S launcher.py REPORT ATTEMPT TOKEN -- COMMAND...`.

It must import next to nothing; it runs once per agent. It is there because tmux
- sends SIGCONT to a pane's own process as soon as that stops: a frozen agent would never be seen frozen,
- loses the last lines of a pane whose process ends right after printing them, and
- on some builds never learns the exit status.

It is there, too, to inherit what the command starts and lets go (where the system knows of subreapers):
whoever leaves with a session and an environment of its own is still known, and can be ended with the rest.

So the command is this process's child. Its pid, and later how it ended, are written to REPORT; then, after
a moment in which tmux reads what is left, this process ends the same way: same status, or same signal.
"""

import os
import sys
import time

# The name alone tells type checkers; importing `typing` for it would cost more than it is worth here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    # `signal` builds enums of what is in here, which takes longer than all else this program does.
    import _signal as signal

LAST_WORDS = 0.25
"""Seconds for tmux to read what the agent printed last; on a busy machine the kernel itself takes its time to
hand that over. Whoever waits for it sees the mark much sooner."""
_READ_SO_FAR = b"\x1b[4h"
"""Insert mode, printed last of all: where tmux shows it, tmux has read all that was printed before."""
_MOST_LEFT = 64
"""Processes left behind that are named in the report."""
_PR_SET_CHILD_SUBREAPER = 36
_OF_THE_TERMINAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def main(words: list[str]) -> int:
    report, attempt, token = words[:3]
    command = words[4:]
    environment = dict(os.environ)
    environment["HHMRS_TOKEN"] = token
    # Python itself sets this one in the C locale; the agent's environment is not ours to change.
    if words[3] == "--no-ctype":
        environment.pop("LC_CTYPE", None)
    for number in _OF_THE_TERMINAL:
        signal.signal(number, signal.SIG_IGN)
    reset = [*_OF_THE_TERMINAL, *_PASSED_ON, signal.SIGPIPE]
    if hasattr(signal, "SIGXFSZ"):
        reset.append(signal.SIGXFSZ)
    out = os.open(report, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    os.write(out, f"attempt {attempt}\n{_inherit()}".encode())
    # What is meant for the command must not end us before we know whom to pass it to.
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)
    try:
        child = os.posix_spawnp(command[0], command, environment, setsigdef=reset, setsigmask=[])
    except OSError as error:
        sys.stderr.write(f"hhmrs: cannot run {command[0]}: {error.strerror}\n")
        status = 127 if isinstance(error, FileNotFoundError) else 126
        os.write(out, f"exit {status}\n".encode())
        time.sleep(LAST_WORDS)
        return status
    for number in _PASSED_ON:
        signal.signal(number, lambda got, _: _pass_on(child, got))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
    os.write(out, f"pid {child}\n{_born(child)}".encode())
    return _end_alike(_end_of(child), out)


def _end_of(child: int) -> int:
    """Wait for the command, and meanwhile for whatever of its children became ours."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            return status


def _inherit() -> str:
    """Have what the command lets go become our child, and not that of pid 1; who we are, for the report."""
    try:
        # `ctypes` builds more than all else here takes; this is all that is wanted of it.
        import _ctypes

        # None is this program with its libraries, as for `ctypes.CDLL`; the stub does not know that.
        call = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type]
        if _ctypes.call_function(call, (_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)) != 0:
            return ""
        return f"launcher {os.getpid()} {_ticks(os.getpid())}\n"
    except (ImportError, AttributeError, OSError, ValueError, IndexError):
        return ""


def _left() -> str:
    """What the command left behind when it ended: nobody will know of it once we are gone."""
    found = ""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", "rb") as children:
            for pid in children.read().split()[:_MOST_LEFT]:
                found += f"left {int(pid)} {_ticks(int(pid))}\n"
    except (OSError, ValueError, IndexError):
        return found
    return found


def _ticks(pid: int) -> int:
    """From this boot to the start of that process, which no set clock changes."""
    with open(f"/proc/{pid}/stat", "rb") as stat:
        return int(stat.read().rpartition(b")")[2].split()[19])


def _born(child: int) -> str:
    """Which process of that pid it is."""
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb") as boot:
            number = int(boot.read().strip().replace(b"-", b""), 16)
        return f"started {_ticks(child)}\nboot {number}\n"
    except (OSError, ValueError, IndexError):
        return ""


def _pass_on(child: int, number: int) -> None:
    try:
        os.kill(child, number)
    except ProcessLookupError:
        return


def _end_alike(status: int, out: int) -> int:
    for number in _PASSED_ON:
        signal.signal(number, signal.SIG_IGN)
    code = os.waitstatus_to_exitcode(status)
    os.write(out, (_left() + (f"exit {code}\n" if code >= 0 else f"signal {-code}\n")).encode())
    _mark_the_end()
    time.sleep(LAST_WORDS)
    if code >= 0:
        return code
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # one core dump of it is enough
    if -code not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
    return 128 - code


def _mark_the_end() -> None:
    """Put the mark behind all that was printed, but never wait for long: Ctrl-S may hold the terminal."""
    try:
        terminal = os.open("/dev/tty", os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        for _ in range(100):
            try:
                os.write(terminal, _READ_SO_FAR)
                return
            except BlockingIOError:
                time.sleep(0.002)  # full: tmux has not read yet
    except OSError:
        return
    finally:
        os.close(terminal)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
