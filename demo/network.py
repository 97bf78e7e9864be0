"""Machines for the demo, with a network between them that can be cut: namespaces of this kernel. Standard library and iproute2."""

import os
import subprocess
import sys

INSIDE = "SPRINGG_DEMO_NETWORK"
NOWHERE = "02:00:00:00:00:00"  # an Ethernet address that nobody has


def enter():
    """Runs the program again where it may make machines; returns there.

    Nothing of that place is left when the program has ended, and the machine's own network is not touched. No root is
    needed where the kernel permits user namespaces.
    """
    if INSIDE in os.environ:
        _ip("link", "set", "lo", "up")
        _ip("link", "add", "bridge0", "type", "bridge")
        _ip("address", "add", f"{Machine.address_of(0)}/24", "dev", "bridge0")
        _ip("link", "set", "bridge0", "up")
        return
    isolated = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    as_nobody = [*isolated, "--user", "--map-root-user"]
    complaint = ""
    for command in (as_nobody, isolated):
        try:
            subprocess.run([*command, "ip", "link", "add", "bridge0", "type", "bridge"], check=True,
                           capture_output=True, text=True)
        except FileNotFoundError:
            sys.exit("This demo makes a network to cut it, with unshare of Debian's util-linux: it is not there.")
        except subprocess.CalledProcessError as error:
            complaint = error.stderr.strip()
            continue
        sys.stdout.flush()
        os.environ[INSIDE] = "1"
        os.execvp(command[0], [*command, sys.executable, *sys.argv])
    sys.exit(
        "This demo makes a network of its own and cuts it, which is not permitted here:\n"
        f"  {complaint}\n"
        "Run it as root, or permit user namespaces: sysctl -w user.max_user_namespaces=10000, and where they exist\n"
        "kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0. It also needs ip (apt-get\n"
        "install iproute2)."
    )


def _ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


class Machine:
    """A machine, as far as a network can tell. Number 0 is the demo's own place, beside all others."""

    @staticmethod
    def address_of(number):
        return f"10.77.0.{number + 1}"

    def __init__(self, number):
        self.address = self.address_of(number)
        # The network lives as long as this process; what it echoes says that it is there.
        self.holder = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.holder.stdin.write(b"\n")
        self.holder.stdin.flush()
        self.holder.stdout.readline()
        port = f"port{number}"
        _ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", str(self.holder.pid))
        _ip("link", "set", port, "master", "bridge0", "up")
        for change in ("link set lo up", f"address add {self.address}/24 dev eth0", "link set eth0 up"):
            subprocess.run(self.command(["ip", *change.split()]), check=True)

    def command(self, command):
        """The command that runs a command on this machine."""
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", *command]

    def cut(self, other):
        """Lets nothing pass between two machines: what they send each other is lost, and nobody is told."""
        self._lose(other)
        other._lose(self)

    def heal(self, other):
        self._find(other)
        other._find(self)

    def _lose(self, other):
        subprocess.run(
            self.command(["ip", "neighbour", "replace", other.address, "lladdr", NOWHERE, "dev", "eth0", "nud", "permanent"]),
            check=True,
        )

    def _find(self, other):
        subprocess.run(self.command(["ip", "neighbour", "delete", other.address, "dev", "eth0"]), check=True)
