#!/usr/bin/env python3
"""Runs Springg nodes and real memberlist agents in one cluster and watches what each of them lists.

By hand, and longer than the tests do; everything is on loopback addresses. Build springg first (make build), and agent.go
against Debian's packages:

    apt-get install golang-go golang-github-hashicorp-memberlist-dev
    GO111MODULE=off GOPATH=/usr/share/gocode go build -o .build/agent scripts/interop/agent.go

    scripts/interop/run.py --agent .build/agent --minutes 3 --loss 10 --key

Phases: all find each other; with --loss that share of UDP is dropped (root, iptables) and every look in --minutes must find
everybody listing everybody; without loss again, one of ours and one of theirs are killed and must be gone everywhere; they
come back; one of each leaves. Ends with 0 when all of that was so. Standard library only.
"""

import argparse
import base64
import json
import os
import pathlib
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
GOSSIP_PORT = 17946
HTTP_PORT = 18080


class Member:
    """A process of the cluster: one of ours or one of theirs."""

    def __init__(self, number, is_ours, options, directory):
        self.name = ("springg-" if is_ours else "agent-") + str(number)
        self.address = f"127.0.0.{100 + number}"
        self.is_ours, self.options, self.directory = is_ours, options, directory
        self.process = None

    def command(self, seed):
        key, label = self.options.aes_key, self.options.label
        if self.is_ours:
            command = [self.options.springg, "serve", "--require-jwt", "false", "--port", HTTP_PORT,
                       "--bind-address", self.address, "--data-path", self.directory / self.name,
                       "--cluster-bind-port", GOSSIP_PORT, "--node-id", self.name, "--cluster-enabled", "true",
                       "--rate-limit-per-second", "0"]
            command += ["--cluster-seeds", seed] if seed else []
            command += ["--cluster-keys", base64.b64encode(key).decode()] if key else []
            command += ["--cluster-label", label] if label else []
        else:
            command = [self.options.agent, "-name", self.name, "-bind", self.address, "-port", GOSSIP_PORT,
                       "-http", f"{self.address}:{HTTP_PORT}"]
            command += ["-join", f"{seed}:{GOSSIP_PORT}"] if seed else []
            command += ["-key", key.hex()] if key else []
            command += ["-label", label] if label else []
            command += ["-proto", self.options.proto] if self.options.proto else []
        return [str(word) for word in command]

    def start(self, seed):
        log = open(self.directory / (self.name + ".log"), "ab")
        environment = {"HOME": str(self.directory), "PATH": os.environ["PATH"]}
        self.process = subprocess.Popen(
            self.command(seed), stdout=log, stderr=log, cwd=self.directory, env=environment
        )

    def end(self, number):
        if self.process:
            self.process.send_signal(number)
            self.process.wait(timeout=20)
            self.process = None

    def lists(self):
        """The names that it takes for alive; none when it does not answer."""
        path = "/internal/cluster/status" if self.is_ours else "/members"
        try:
            with urllib.request.urlopen(f"http://{self.address}:{HTTP_PORT}{path}", timeout=3) as answer:
                content = json.load(answer)
        except (OSError, ValueError):
            return set()
        if not self.is_ours:
            return set(content)
        return {name for name, peer in content["data"]["peers"].items() if peer["status"] in ("alive", "suspect")}


class Loss:
    """Drops a share of the cluster's UDP packets while it is entered."""

    def __init__(self, percent):
        self.rule = ["INPUT", "-i", "lo", "-p", "udp", "--dport", str(GOSSIP_PORT), "-m", "statistic",
                     "--mode", "random", "--probability", str(percent / 100), "-j", "DROP"]
        self.percent = percent

    def __enter__(self):
        if self.percent:
            subprocess.run(["iptables", "-w", "5", "-A", *self.rule], check=True)

    def __exit__(self, *_):
        if self.percent:
            subprocess.run(["iptables", "-w", "5", "-D", *self.rule], check=True)


def views(members):
    return {member.name: member.lists() for member in members if member.process}


def await_agreement(members, seconds, what):
    """Waits until everybody that runs lists exactly those that run."""
    wanted = {member.name for member in members if member.process}
    began = time.monotonic()
    while True:
        seen = views(members)
        wrong = {name: sorted(view ^ wanted) for name, view in seen.items() if view != wanted}
        if not wrong:
            print(f"{what}: all {len(wanted)} agree after {time.monotonic() - began:.1f} s", flush=True)
            return
        if time.monotonic() - began > seconds:
            sys.exit(f"{what}: after {seconds} s these differ: {wrong}")
        time.sleep(0.2)


def watch(members, minutes):
    """Looks at every list once a second; returns how many looks there were and how many found somebody missing."""
    wanted = {member.name for member in members if member.process}
    looks = misses = 0
    end = time.monotonic() + minutes * 60
    while time.monotonic() < end:
        for name, view in views(members).items():
            looks += 1
            if view != wanted:
                misses += 1
                print(f"{name} differs in {sorted(view ^ wanted)}", flush=True)
        time.sleep(1)
    return looks, misses


def run(options, directory):
    ours = [Member(number, True, options, directory) for number in range(options.ours)]
    theirs = [Member(options.ours + number, False, options, directory) for number in range(options.theirs)]
    members = ours + theirs
    try:
        theirs[0].start(None)
        for member in members:
            if member is not theirs[0]:
                member.start(theirs[0].address)
        await_agreement(members, 60, "start")
        with Loss(options.loss):
            looks, misses = watch(members, options.minutes)
        print(f"{looks} looks with {options.loss}% loss, {misses} of them missed somebody", flush=True)
        await_agreement(members, 60, "after the loss")
        for victim in (ours[-1], theirs[-1]):
            victim.end(signal.SIGKILL)
            await_agreement(members, 90, f"{victim.name} killed")
            victim.start(members[0].address if victim is not members[0] else theirs[0].address)
            await_agreement(members, 90, f"{victim.name} back")
        for leaver in (ours[-1], theirs[-1]):
            leaver.end(signal.SIGTERM)
            await_agreement(members, 15, f"{leaver.name} left")
        if misses:
            sys.exit("somebody was missed although all were alive")
    finally:
        for member in members:
            member.end(signal.SIGKILL)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", required=True, help="the program built from agent.go")
    parser.add_argument("--springg", default=ROOT / ".build/release/springg", help="the program of our nodes")
    parser.add_argument("--ours", type=int, default=3)
    parser.add_argument("--theirs", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=1, help="how long to watch")
    parser.add_argument("--loss", type=float, default=0, help="share of UDP that is lost meanwhile, in percent; needs root")
    parser.add_argument("--key", action="store_true", help="encrypt with a key of 32 bytes")
    parser.add_argument("--label", help="label of the cluster; needs an agent of memberlist 0.3 or newer")
    parser.add_argument("--proto", type=int, help="protocol that the agents speak: 1 makes their encryption version 0")
    options = parser.parse_args()
    options.aes_key = secrets.token_bytes(32) if options.key else None
    options.agent = pathlib.Path(options.agent).resolve()
    with tempfile.TemporaryDirectory() as directory:
        try:
            run(options, pathlib.Path(directory))
        except SystemExit:
            for log in sorted(pathlib.Path(directory).glob("*.log")):
                print(f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}", file=sys.stderr)
            raise
    print("all as it should be")


if __name__ == "__main__":
    main()
